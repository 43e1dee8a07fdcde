// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package autoscaling

import (
	"fmt"
	"slices"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// activity is a scaling activity.
type activity struct {
	ID       string `xml:"ActivityId"`
	Group    string `xml:"AutoScalingGroupName"`
	Text     string `xml:"Description"`
	Cause    string `xml:"Cause"`
	Start    string `xml:"StartTime"`
	End      string `xml:"EndTime,omitempty"`
	Status   string `xml:"StatusCode"`
	Message  string `xml:"StatusMessage,omitempty"`
	Progress int    `xml:"Progress"`
	Details  string `xml:"Details"`
	ARN      string `xml:"AutoScalingGroupARN"`
}

// Statuses of activities.
const (
	inProgress = "InProgress"
	successful = "Successful"
	failed     = "Failed"
)

// begin adds an activity to the group's.
func (g *group) begin(s *Service, now time.Time, text, cause, zone, subnet string) *activity {
	details := fmt.Sprintf(`{"Availability Zone":%q}`, zone)
	if subnet != "" {
		details = fmt.Sprintf(`{"Subnet ID":%q,"Availability Zone":%q}`, subnet, zone)
	}
	a := &activity{ID: s.uuid(), Group: g.Name, Text: text, Cause: cause, Start: stamp(now), Status: inProgress, Progress: 50, Details: details, ARN: g.ARN}
	g.activities = append(g.activities, a)
	return a
}

// end ends an activity; a message is that of a failed one.
func (a *activity) end(now time.Time, message string) {
	a.End, a.Status, a.Message, a.Progress = stamp(now), successful, message, 100
	if message != "" {
		a.Status = failed
	}
}

// second formats a time for a cause.
func second(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func describeActivities(c *call) (any, error) {
	var all []*activity
	name, ids := c.p.Get("AutoScalingGroupName"), c.p.List("ActivityIds")
	known := name == ""
	if c.p.Bool("IncludeDeletedGroups", false) {
		known = true
		all = append(all, c.r.past...)
	}
	for _, g := range c.r.groups {
		known = known || g.Name == name
		all = append(all, g.activities...)
	}
	if !known {
		return nil, invalid("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
	}
	var found []*activity
	for _, a := range slices.Backward(all) { // newest first
		if (name == "" || a.Group == name) && (len(ids) == 0 || slices.Contains(ids, a.ID)) {
			found = append(found, a)
		}
	}
	part, next, err := page(c, found)
	return struct {
		Activities query.Members[*activity] `xml:"Activities"`
		Next       string                   `xml:"NextToken,omitempty"`
	}{part, next}, err
}
