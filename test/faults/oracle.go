// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
)

// verdict is the outcome of a run, the worst last.
type verdict int

const (
	missed   verdict = iota // the build did not reach the request
	survived                // complete
	clean                   // failed, and left nothing
	kept                    // failed after its images were complete, and named them
	named                   // failed, and named what it left, with commands that remove it
	told                    // failed, and named what it left, without a command that removes it
	unclear                 // failed for a reason that the output does not state
	lost                    // failed because of a harmless fault
	wrong                   // said something that is not true, or left an incomplete template
	leaked                  // left something without a word
	hang
	crash
	verdicts
)

var verdictNames = [verdicts]string{
	"missed", "survived", "failed clean", "images kept and named", "left, with commands", "left, named only", "unclear error", "lost to a harmless fault", "wrong", "leaked", "hung", "crashed",
}

// find records a verdict, and the reason of a bad one.
func (r *run) find(v verdict, format string, args ...any) {
	r.verdict = max(r.verdict, v)
	if format != "" {
		r.why = append(r.why, verdictNames[v]+": "+fmt.Sprintf(format, args...))
	}
}

// judge compares what the build says with what the account has.
func (r *run) judge(ctx context.Context, endpoint string) error {
	last := r.builds[len(r.builds)-1]
	var text string
	for _, b := range r.builds {
		text += b.output
		if b.hung {
			r.find(hang, "no end after %s", r.limit())
		}
		if strings.Contains(b.output, "panic: ") || strings.Contains(b.output, "fatal error: ") {
			r.find(crash, "it panicked")
		}
	}
	swept := r.fault != nil && r.fault.signal == "kill both" && len(r.builds) > 1
	now := r.server.Inventory()
	left, gone := subtract(now, r.before), subtract(r.before, now)
	done := last.code == 0 && !swept && !strings.Contains(last.output, "Cleanly cancelled builds") // Packer exits with 0
	r.judgeTemplate(done)
	switch {
	case done:
		r.find(survived, "")
		r.judgeSuccess(left)
	case swept:
	case r.fault != nil && r.fault.harmless:
		r.find(lost, "exit code %d", last.code)
	default:
		r.judgeError(text)
	}
	killed := r.fault != nil && r.fault.signal == "kill both" // nothing can say how to go on
	if !done && !killed && r.parametersDiffer() && !strings.Contains(text, "publish run") {
		r.find(wrong, "the parameters of the regions differ, and nothing says how to go on")
	}
	for _, resource := range gone {
		if !done && !r.replaced(left, text) {
			r.find(wrong, "%s %s is gone, although the build failed", resource.Kind, resource.ID)
		}
	}
	if done {
		left = slices.DeleteFunc(left, func(resource ec2.Resource) bool {
			intermediary := resource.Kind == "image" && resource.Name != imageName
			return !resource.Leaked() && !intermediary
		})
	} else {
		left = slices.DeleteFunc(left, func(resource ec2.Resource) bool { return r.isKept(resource, left, text) })
	}
	for _, id := range claimed(text) {
		if !slices.ContainsFunc(left, func(resource ec2.Resource) bool { return resource.ID == id || resource.Name == id }) {
			r.find(wrong, "it says that %s is left behind, which is gone", id)
		}
	}
	if len(left) == 0 {
		if !done {
			r.find(clean, "")
		}
		return nil
	}
	commands := printed(text)
	for _, command := range commands {
		if err := r.shell(ctx, endpoint, command); err != nil && !strings.Contains(err.Error(), "NotFound") && !strings.Contains(err.Error(), "NoSuchEntity") {
			r.find(wrong, "the printed command `%s` fails: %s", command, err)
		}
	}
	time.Sleep(settled)
	still := subtract(r.server.Inventory(), r.before)
	for _, resource := range left {
		gone := !slices.ContainsFunc(still, func(other ec2.Resource) bool { return other.ID == resource.ID })
		switch {
		case gone:
			r.find(named, "")
		case strings.Contains(text, resource.ID) || resource.Kind != "image" && resource.Name != "" && strings.Contains(text, resource.Name):
			r.find(told, "%s %s (%s) is named, but no printed command removes it", resource.Kind, resource.ID, resource.State)
		default:
			r.leaks = append(r.leaks, resource)
			r.find(leaked, "%s %s %s (%s) without a word", resource.Kind, resource.ID, resource.Name, resource.State)
		}
	}
	return nil
}

// subtract returns the resources of one inventory that another lacks.
func subtract(a, b inventory) (rest []ec2.Resource) {
	known := map[string]bool{}
	for region, resources := range b {
		for _, resource := range resources {
			known[region+resource.Kind+resource.ID] = true
		}
	}
	for region, resources := range a {
		for _, resource := range resources {
			if !known[region+resource.Kind+resource.ID] {
				rest = append(rest, resource)
			}
		}
	}
	return rest
}

// row is a row of the template's map.
var row = regexp.MustCompile(`(?m)^    (\S+):\n      AMI: (\S+)`)

// judgeTemplate checks that the template is the old one or a whole new one.
func (r *run) judgeTemplate(done bool) {
	if r.scenario.peer {
		return
	}
	content, err := os.ReadFile(filepath.Join(r.folder, "stack.template"))
	if err != nil {
		r.find(wrong, "the template is gone: %s", err)
		return
	}
	text := string(content)
	if image.ReplaceAllString(text, placeholder) != r.template {
		r.find(wrong, "the template is damaged:\n%s", text)
		return
	}
	filled := strings.Count(text, placeholder)
	if filled != 0 && (filled != len(r.scenario.regions) || done) {
		r.find(wrong, "%d of %d rows are filled", len(r.scenario.regions)-filled, len(r.scenario.regions))
	}
	if done {
		now := r.server.Inventory()
		for _, match := range row.FindAllStringSubmatch(text, -1) {
			if !slices.ContainsFunc(now[match[1]], func(resource ec2.Resource) bool {
				return resource.ID == match[2] && resource.Kind == "image" && resource.State == "available"
			}) {
				r.find(wrong, "the row of %s has %s, which is no image there", match[1], match[2])
			}
		}
	}
}

var image = regexp.MustCompile(`ami-[0-9a-f]{17}`)

// judgeSuccess checks that a build without an error has made everything.
func (r *run) judgeSuccess(left []ec2.Resource) {
	images := 0
	for _, resource := range left {
		if resource.Kind == "image" && resource.State == "available" && resource.Name == imageName {
			images++
		}
	}
	if images != len(r.scenario.regions) {
		r.find(wrong, "%d images, want %d", images, len(r.scenario.regions))
	}
	published := map[string]bool{}
	for region, resources := range r.server.Inventory() {
		for _, resource := range resources {
			published[region+" "+resource.Kind] = true
		}
	}
	for _, region := range r.scenario.regions {
		if strings.Contains(r.scenario.cfn, "ssm") && !published[region+" parameter"] {
			r.find(wrong, "%s has no parameter", region)
		}
	}
	if r.parametersDiffer() {
		r.find(wrong, "the parameters of the regions are of different builds")
	}
}

// parametersDiffer reports whether some parameters have an image of this build, and
// others do not.
func (r *run) parametersDiffer() bool {
	ours := 0
	for _, resource := range subtract(r.server.Inventory(), r.before) {
		if resource.Kind == "parameter" {
			ours++
		}
	}
	return ours != 0 && ours != len(r.scenario.regions)
}

// isKept reports whether a failed build keeps a resource on purpose, and says so: an
// image that is complete, with its snapshots, or a publication.
func (r *run) isKept(resource ec2.Resource, left []ec2.Resource, text string) bool {
	of := resource
	switch resource.Kind {
	case "snapshot":
		i := slices.IndexFunc(left, func(other ec2.Resource) bool {
			return other.Kind == "image" && slices.Contains(other.Snapshots, resource.ID)
		})
		if i < 0 {
			return false
		}
		of = left[i]
	case "parameter", "stack-set":
		return true
	case "image":
	default:
		return false
	}
	if of.State != "available" || !strings.Contains(text, of.ID) || !keeps.MatchString(text) {
		return false
	}
	r.find(kept, "")
	return true
}

// keeps matches the lines that say that a failed build keeps images.
var keeps = regexp.MustCompile(`They are kept|they are kept|Keeping the (new|existing) images|^Kept: \d+ finished image|\nKept: \d+ finished image`)

// replaced reports whether the build has replaced what is gone by new images, and names
// them.
func (r *run) replaced(left []ec2.Resource, text string) bool {
	return keeps.MatchString(text) && slices.ContainsFunc(left, func(resource ec2.Resource) bool {
		return resource.Kind == "image" && resource.State == "available" && strings.Contains(text, resource.ID)
	})
}

// judgeError checks that the error that ended the build names the region and the action
// of the request that failed, and a remedy.
func (r *run) judgeError(text string) {
	if r.fault == nil || r.fault.signal != "" || r.fault.times != 0 {
		return
	}
	_, message, _ := strings.Cut(text, "Some builds didn't complete successfully")
	message, _, _ = strings.Cut(message, "Builds finished but no artifacts")
	if !strings.Contains(message, r.target.Region) && r.target.Service != "iam" {
		r.find(unclear, "the error does not contain the region %s: %s", r.target.Region, message)
	}
	if action := r.target.operation(); !r.fault.region && !launches(r.target.call) && !strings.Contains(message, action) {
		r.find(unclear, "the error does not contain %s: %s", action, message)
	}
	if !remedy.MatchString(message) {
		r.find(unclear, "the error has no remedy: %s", message)
	}
}

// remedy matches what an error tells the user to do.
var remedy = regexp.MustCompile(`; (allow|see|try|set|or set|add|use|run|remove|check|choose) |allow it|: fix `)

// prefix is Packer's before each line of a build.
var prefix = regexp.MustCompile(`^(?:==> |    )?[\w.-]+(?: \([\w-]+\))?: ?`)

func lines(text string) (all []string) {
	for line := range strings.SplitSeq(text, "\n") {
		all = append(all, strings.TrimSpace(prefix.ReplaceAllString(line, "")))
	}
	return all
}

// printed returns the commands that the output tells the user to run to remove
// something.
func printed(text string) (commands []string) {
	for _, line := range lines(text) {
		if strings.HasPrefix(line, "aws ") && !slices.Contains(commands, line) {
			commands = append(commands, line)
		}
	}
	return commands
}

var leftBehind = regexp.MustCompile(`^left behind: \S+ (\S+) in`)

// claimed returns what the output says is left.
func claimed(text string) (ids []string) {
	for _, line := range lines(text) {
		if m := leftBehind.FindStringSubmatch(line); m != nil {
			ids = append(ids, m[1])
		}
	}
	return ids
}

func (r *run) shell(ctx context.Context, endpoint, command string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command) //nolint:gosec // the plugin's own commands, against the simulated account
	cmd.Env, cmd.Dir = r.environ(endpoint), r.folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
