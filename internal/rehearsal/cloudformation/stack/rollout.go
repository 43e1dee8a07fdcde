// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package stack

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/resource"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// groupPatience is how long a rolling update waits for instances to end or to come into
// service, at least.
const groupPatience = 15 * time.Minute

// rollout is a rolling update: AutoScalingRollingUpdate of an UpdatePolicy
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatepolicy.html).
type rollout struct {
	least, most, percent int // MinInstancesInService, MaxBatchSize, MinSuccessfulInstancesPercent
	pause                time.Duration
	pauseText            string
	signals              bool // WaitOnResourceSignals
	suspended            []string

	obsolete           []string // ids still to terminate
	total              int
	needed, launched   int // new instances: in all, and so far
	received, failures int // signals
	restore            query.Params
	batch              *batch
	since              time.Time // of the last progress
}

// batch is a part of a rolling update: instances to terminate, and the number of new
// ones.
type batch struct {
	ids                []string
	fresh              int
	ended, announced   bool
	until              time.Time // end of the pause, or of the wait for signals
	received, failures int
}

// groupView is what a rolling update sees of its group.
type groupView struct {
	Groups []struct {
		Min       int `xml:"MinSize"`
		Max       int `xml:"MaxSize"`
		Desired   int `xml:"DesiredCapacity"`
		Instances []struct {
			ID      string `xml:"InstanceId"`
			State   string `xml:"LifecycleState"`
			Health  string `xml:"HealthStatus"`
			LT      string `xml:"LaunchTemplate>LaunchTemplateId"`
			Version string `xml:"LaunchTemplate>Version"`
		} `xml:"Instances>member"`
	} `xml:"AutoScalingGroups>member"`
}

// updateGroup updates an Auto Scaling group. If the update makes its instances obsolete
// and the group has the policy, it begins a rolling update.
func (v *stack) updateGroup(now time.Time, r *stackResource, q *resource.Request) error {
	r.properties, r.rollout = q.Properties, nil
	p := resource.GroupRequest(q)
	p["AutoScalingGroupName"] = q.ID
	if scheduled, ok := r.Update["AutoScalingScheduledAction"].(map[string]any); ok && template.Text(scheduled["IgnoreUnmodifiedGroupSizeProperties"]) == "true" {
		for _, name := range []string{"MinSize", "MaxSize", "DesiredCapacity"} {
			if reflect.DeepEqual(q.Properties[name], q.Before[name]) {
				delete(p, name)
			}
		}
	}
	policy, ok := r.Update["AutoScalingRollingUpdate"].(map[string]any)
	if !ok || !resource.Rolls(q) {
		return refusal(r.Type, q.Client("autoscaling", v.Region, "UpdateAutoScalingGroup", p, nil))
	}
	o, err := v.newRollout(policy)
	if err != nil {
		return err
	}
	if limit, err := strconv.Atoi(template.Text(q.Properties["MaxSize"])); err == nil && o.least >= limit && limit > 0 {
		return errors.New("MinInstancesInService must be less than the autoscaling group's MaxSize")
	}
	if len(o.suspended) > 0 {
		if err := v.processes(q, "SuspendProcesses", o.suspended); err != nil {
			return err
		}
	}
	// The group shrinks only after the update: it would end instances of the older
	// template first.
	g, err := v.view(q)
	if err != nil {
		return err
	}
	before := g.Groups[0].Desired
	o.restore = query.Params{"MinSize": p.Or("MinSize", strconv.Itoa(g.Groups[0].Min)), "DesiredCapacity": p.Or("DesiredCapacity", strconv.Itoa(before))}
	wanted, err := strconv.Atoi(o.restore["DesiredCapacity"])
	if err != nil {
		return fmt.Errorf("DesiredCapacity is %q, expected a number", o.restore["DesiredCapacity"])
	}
	if limit, err := p.Int("MaxSize", before); err == nil {
		p["DesiredCapacity"] = strconv.Itoa(max(wanted, min(before, limit)))
	}
	if err := q.Client("autoscaling", v.Region, "UpdateAutoScalingGroup", p, nil); err != nil {
		return errors.Join(refusal(r.Type, err), v.processes(q, "ResumeProcesses", o.suspended))
	}
	r.rollout = o
	r.fresh() // signals from before
	return v.startRollout(now, r, q, wanted)
}

// newRollout parses the policy.
func (v *stack) newRollout(policy map[string]any) (o *rollout, err error) {
	o = &rollout{}
	for name, n := range map[string]struct {
		to    *int
		other int
	}{"MinInstancesInService": {&o.least, 0}, "MaxBatchSize": {&o.most, 1}, "MinSuccessfulInstancesPercent": {&o.percent, 100}} {
		if *n.to, err = v.policyInt(policy, name, n.other); err != nil {
			return nil, err
		}
	}
	wait, err := v.scope(v.now).Evaluate(policy["WaitOnResourceSignals"])
	if err != nil {
		return nil, err
	}
	o.signals = template.Text(wait) == "true"
	other := "PT0S"
	if o.signals {
		other = "PT5M"
	}
	if o.pause, o.pauseText, err = v.policyTime(policy, "PauseTime", other); err != nil {
		return nil, err
	}
	list, err := v.scope(v.now).Evaluate(policy["SuspendProcesses"])
	o.suspended = template.Texts(list)
	return o, err
}

// processes suspends or resumes processes of the group.
func (v *stack) processes(q *resource.Request, action string, list []string) error {
	if len(list) == 0 {
		return nil
	}
	p := query.Params{"AutoScalingGroupName": q.ID}
	for i, name := range list {
		p["ScalingProcesses."+strconv.Itoa(i+1)] = name
	}
	return refusal(resource.Group, q.Client("autoscaling", v.Region, action, p, nil))
}

func (v *stack) view(q *resource.Request) (groupView, error) {
	var g groupView
	err := q.Client("autoscaling", v.Region, "DescribeAutoScalingGroups", query.Params{"AutoScalingGroupNames.1": q.ID}, &g)
	if err == nil && len(g.Groups) == 0 {
		err = fmt.Errorf("AutoScalingGroup %s not found", q.ID)
	}
	return g, err
}

// version returns the version of the launch template that the group launches.
func (v *stack) version(q *resource.Request) (id, version string) {
	spec, _ := q.Properties["LaunchTemplate"].(map[string]any)
	if mixed, ok := q.Properties["MixedInstancesPolicy"].(map[string]any); ok {
		inner, _ := mixed["LaunchTemplate"].(map[string]any)
		spec, _ = inner["LaunchTemplateSpecification"].(map[string]any)
	}
	p := query.Params{"LaunchTemplateVersion.1": template.Text(spec["Version"])}
	for _, name := range []string{"LaunchTemplateId", "LaunchTemplateName"} {
		if text := template.Text(spec[name]); text != "" {
			p[name] = text
		}
	}
	var found struct {
		ID     string `xml:"launchTemplateVersionSet>item>launchTemplateId"`
		Number string `xml:"launchTemplateVersionSet>item>versionNumber"`
	}
	if q.Client("ec2", v.Region, "DescribeLaunchTemplateVersions", p, &found) != nil {
		return "", "" // the group reports a missing template
	}
	return found.ID, found.Number
}

// startRollout finds the obsolete instances, and adds capacity for the first batch if too
// few instances would be in service. wanted is the capacity after the update.
func (v *stack) startRollout(now time.Time, r *stackResource, q *resource.Request, wanted int) error {
	o := r.rollout
	g, err := v.view(q)
	if err != nil {
		return err
	}
	group := g.Groups[0]
	id, version := v.version(q)
	moved := !reflect.DeepEqual(q.Properties["VPCZoneIdentifier"], q.Before["VPCZoneIdentifier"])
	active := 0
	for _, i := range group.Instances {
		if i.State == "Terminating" {
			continue
		}
		active++
		if i.LT != id || i.Version != version || moved {
			o.obsolete = append(o.obsolete, i.ID)
		}
	}
	o.total, o.since = len(o.obsolete), now
	if o.total == 0 {
		return nil
	}
	weight := max(1, (group.Desired+active-1)/active) // of an instance, on average
	o.needed = max(0, (wanted+weight-1)/weight-(active-o.total))
	o.most = max(1, min(o.most, o.total))
	text := fmt.Sprintf("Rolling update initiated. Terminating %d obsolete instance(s) in batches of %d, while keeping at least %d instance(s) in service.", o.total, o.most, o.least)
	if o.signals {
		text += fmt.Sprintf(" Waiting on resource signals with a timeout of %s when new instances are added to the autoscaling group.", o.pauseText)
	}
	v.note(now, r, "UPDATE_IN_PROGRESS", text)
	extra := min(o.least+o.most-active, (group.Max-group.Desired)/weight)
	if extra <= 0 {
		return nil
	}
	size := strconv.Itoa(group.Desired + extra*weight)
	v.note(now, r, "UPDATE_IN_PROGRESS", "Temporarily setting autoscaling group MinSize and DesiredCapacity to "+size+".")
	o.launched, o.batch = extra, &batch{fresh: extra}
	return v.resize(q, query.Params{"MinSize": size, "DesiredCapacity": size})
}

func (v *stack) resize(q *resource.Request, p query.Params) error {
	return refusal(resource.Group, q.Client("autoscaling", v.Region, "UpdateAutoScalingGroup", query.Params{"AutoScalingGroupName": q.ID}.Over(p), nil))
}

// roll does the next part of a rolling update. It returns nil when all instances are
// replaced.
func (v *stack) roll(now time.Time, r *stackResource) error {
	o, q := r.rollout, v.request(now, r)
	for {
		err := v.rollBatch(now, r, q)
		if errors.Is(err, errWaiting) {
			return err
		}
		if err == nil && (o.batch != nil || len(o.obsolete) > 0) {
			continue
		}
		// A failed update leaves the capacity to the roll back.
		if err == nil {
			err = v.resize(q, o.restore)
		}
		err = errors.Join(err, v.processes(q, "ResumeProcesses", o.suspended))
		if err == nil {
			r.rollout = nil
		}
		return err
	}
}

// rollBatch continues the batch, or begins the next one.
func (v *stack) rollBatch(now time.Time, r *stackResource, q *resource.Request) error {
	o := r.rollout
	if o.batch != nil {
		return v.awaitBatch(now, r, q)
	}
	if len(o.obsolete) == 0 {
		return nil
	}
	g, err := v.view(q)
	if err != nil {
		return err
	}
	serving := 0
	for _, i := range g.Groups[0].Instances {
		if i.State == "InService" && i.Health == "Healthy" {
			serving++
		}
	}
	n := min(o.most, len(o.obsolete), serving-o.least)
	if n <= 0 {
		if now.Sub(o.since) >= max(o.pause, groupPatience) {
			return fmt.Errorf("Group did not stabilize. {current/minSize/maxSize}={%d/%d/%d}", serving, g.Groups[0].Min, g.Groups[0].Max) //nolint:staticcheck // CloudFormation's text
		}
		return errWaiting
	}
	b := &batch{ids: slices.Clone(o.obsolete[:n]), fresh: min(n, max(0, o.needed-o.launched))}
	v.note(now, r, "UPDATE_IN_PROGRESS", fmt.Sprintf("Terminating instance(s) [%s]; replacing with %d new instance(s).", strings.Join(b.ids, ","), b.fresh))
	if b.fresh < n { // the extra capacity ends
		if err := v.resize(q, query.Params{"MinSize": o.restore["MinSize"]}); err != nil {
			return err
		}
	}
	for i, id := range b.ids {
		p := query.Params{"InstanceId": id, "ShouldDecrementDesiredCapacity": strconv.FormatBool(i >= b.fresh)}
		if err := q.Client("autoscaling", v.Region, "TerminateInstanceInAutoScalingGroup", p, nil); err != nil && !strings.Contains(message(err), "No managed instance found") {
			return refusal(resource.Group, err)
		}
	}
	o.obsolete, o.launched, o.batch, o.since = o.obsolete[n:], o.launched+b.fresh, b, now
	return nil
}

// awaitBatch waits until the instances of a batch are terminated, and for the signals of
// the new ones or for the pause.
func (v *stack) awaitBatch(now time.Time, r *stackResource, q *resource.Request) error {
	o, b := r.rollout, r.rollout.batch
	if !b.ended {
		g, err := v.view(q)
		if err != nil {
			return err
		}
		for _, i := range g.Groups[0].Instances {
			if slices.Contains(b.ids, i.ID) {
				return errWaiting
			}
		}
		b.ended, o.since = true, now
		if len(b.ids) > 0 {
			percent := 100 * (o.total - len(o.obsolete)) / o.total
			v.note(now, r, "UPDATE_IN_PROGRESS", fmt.Sprintf("Successfully terminated instance(s) [%s] (Progress %d%%).", strings.Join(b.ids, ","), percent))
		}
	}
	if !b.announced {
		b.announced, b.until = true, now.Add(o.pause)
		if o.signals && b.fresh > 0 {
			v.note(now, r, "UPDATE_IN_PROGRESS", fmt.Sprintf("New instance(s) added to autoscaling group - Waiting on %d resource signal(s) with a timeout of %s.", b.fresh, o.pauseText))
		}
	}
	if !o.signals || b.fresh == 0 {
		if b.fresh > 0 && now.Before(b.until) {
			return errWaiting
		}
		o.batch, o.since = nil, now
		return nil
	}
	for _, s := range r.fresh() {
		v.note(now, r, "UPDATE_IN_PROGRESS", "Received "+s.status()+" signal with UniqueId "+s.id)
		if s.success {
			b.received++
		} else {
			b.failures++
		}
	}
	missing := b.fresh - b.received - b.failures
	if missing > 0 && now.Before(b.until) {
		return errWaiting
	}
	if missing > 0 {
		v.note(now, r, "UPDATE_IN_PROGRESS", missed(missing))
		b.failures += missing
	}
	o.received, o.failures = o.received+b.received, o.failures+b.failures
	if o.total-o.failures < (o.total*o.percent+99)/100 {
		return tooFew(o.received, o.total, o.percent)
	}
	o.batch, o.since = nil, now
	return nil
}

// replaces reports whether the policy replaces a whole group.
func (v *stack) replaces(q *resource.Request, d template.Resource) bool {
	policy, ok := d.Update["AutoScalingReplacingUpdate"].(map[string]any)
	return ok && d.Type == resource.Group && template.Text(policy["WillReplace"]) == "true" && resource.Rolls(q)
}
