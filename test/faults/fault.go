// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// how is what the proxy does to a request.
type how int

const (
	refuse       how = iota // return an error
	reset                   // close the connection before the request reaches AWS
	cut                     // let AWS do the work, and return half of the response
	lose                    // let AWS do the work, and close the connection
	fail500                 // let AWS do the work, and return InternalError
	silence                 // return nothing until the client gives up
	signalBefore            // signal the build before the request reaches AWS
	signalAfter             // signal the build before the response reaches it
	pass                    // change nothing on the wire
)

// fault is a kind of fault.
type fault struct {
	name   string
	how    how
	code   string // of refuse; empty is the action's NotFound
	status int
	times  int  // requests that it changes; 0 is all later ones
	region bool // from the target on, all requests to its service in its region
	// harmless faults must not fail a build.
	harmless bool
	// signal is the signal and its receiver, see signals.
	signal string
	only   func(call) bool // requests that it applies to; nil is all
	unseen time.Duration   // for which new ids are not found in this run; 0 is the scenario's
	// world is what changes in the account before the request reaches it; nil is nothing.
	world func(call) rehearsal.Fault
}

// lateID is how long new ids are not found: 10 s of the plugin's clock.
const lateID = 10 * time.Second / rate

// fails returns a failure of the image or the copy that a request creates. With 0
// times, all later ones fail, too.
func fails(times int) func(call) rehearsal.Fault {
	return func(c call) rehearsal.Fault {
		if c.Action == "CopyImage" {
			return rehearsal.Fault{CopyRegion: c.Region, State: "failed", Times: times}
		}
		return rehearsal.Fault{ImageRegion: c.Region, State: "failed", Times: times}
	}
}

// faults are all kinds, in the order of the table.
var faults = []fault{
	{name: "RequestLimitExceeded x3, then fine", how: refuse, code: "RequestLimitExceeded", status: http.StatusServiceUnavailable, times: 3, harmless: true},
	{name: "500 x2, then fine", how: refuse, code: "InternalError", status: http.StatusInternalServerError, times: 2, harmless: true},
	{name: "500 for ever", how: refuse, code: "InternalError", status: http.StatusInternalServerError},
	{name: "403 for ever", how: refuse, code: "UnauthorizedOperation", status: http.StatusForbidden},
	{name: "reset before the request", how: reset, times: 1, harmless: true},
	{name: "response cut", how: cut, times: 1, harmless: true},
	{name: "response lost", how: lose, times: 1, harmless: true},
	{name: "response lost, and that of the retry", how: lose, times: 2, harmless: true},
	{name: "500 although the work was done", how: fail500, times: 1, harmless: true},
	{name: "500 although the work was done, for ever", how: fail500, only: changes},
	{name: "silence", how: silence, times: 1, harmless: true},
	{name: "the region's service gone for ever", how: reset, region: true},
	{name: "no capacity", how: refuse, code: "InsufficientInstanceCapacity", status: http.StatusInternalServerError, times: 1, only: launches},
	{name: "no capacity for ever", how: refuse, code: "InsufficientInstanceCapacity", status: http.StatusInternalServerError, only: launches},
	{name: "NotFound at a removal", how: refuse, status: http.StatusBadRequest, times: 1, harmless: true, only: removes},
	{name: "NotFound at a removal x3", how: refuse, status: http.StatusBadRequest, times: 3, harmless: true, only: removes},
	{name: "the image or copy ends failed", how: pass, times: 1, harmless: true, only: makesImage, world: fails(1)},
	{name: "the image or copy ends failed, for ever", how: pass, times: 1, only: makesImage, world: fails(0)},
	{name: "new ids not found for 10 s", how: pass, times: 1, harmless: true, only: launches, unseen: lateID},
	{name: "response lost, new ids not found for 10 s", how: lose, times: 1, harmless: true, only: creates, unseen: lateID},
	{name: "response cut, new ids not found for 10 s", how: cut, times: 1, harmless: true, only: creates, unseen: lateID},
	{name: "cancel before the response, new ids not found for 10 s", how: signalAfter, times: 1, signal: "cancel", only: creates, unseen: lateID},
	{name: "cancel before the request", how: signalBefore, times: 1, signal: "cancel"},
	{name: "cancel before the response", how: signalAfter, times: 1, signal: "cancel"},
	{name: "cancel twice before the response", how: signalAfter, times: 1, signal: "cancel twice"},
	{name: "SIGTERM before the response", how: signalAfter, times: 1, signal: "terminate"},
	{name: "SIGKILL of the plugin, then resume", how: signalAfter, times: 1, signal: "kill plugin"},
	{name: "SIGKILL of Packer, then resume", how: signalAfter, times: 1, signal: "kill packer"},
	{name: "SIGKILL of both, then sweep", how: signalAfter, times: 1, signal: "kill both"},
}

// changes reports whether a request changes something.
func changes(c call) bool {
	if c.DryRun {
		return false
	}
	for _, verb := range []string{"Describe", "Get", "List", "HEAD", "GET", "Lookup", "Validate"} {
		if strings.HasPrefix(c.Action, verb) {
			return false
		}
	}
	return true
}

func launches(c call) bool {
	return !c.DryRun && (c.Action == "RunInstances" || c.Action == "CreateFleet")
}

// notFoundCodes are the codes of removals of what EC2 does not find.
var notFoundCodes = map[string]string{
	"TerminateInstances":   "InvalidInstanceID.NotFound",
	"StopInstances":        "InvalidInstanceID.NotFound",
	"DeregisterImage":      "InvalidAMIID.NotFound",
	"DeleteSnapshot":       "InvalidSnapshot.NotFound",
	"DeleteSecurityGroup":  "InvalidGroup.NotFound",
	"DeleteKeyPair":        "InvalidKeyPair.NotFound",
	"DeleteVolume":         "InvalidVolume.NotFound",
	"DeleteLaunchTemplate": "InvalidLaunchTemplateName.NotFoundException",
}

// creates reports whether a request to EC2 or IAM creates something.
func creates(c call) bool {
	return launches(c) || !c.DryRun && (c.Service == "ec2" || c.Service == "iam") && c.Action != "CreateTags" &&
		(strings.HasPrefix(c.Action, "Create") || c.Action == "CopyImage" || c.Action == "RegisterImage")
}

func makesImage(c call) bool {
	return !c.DryRun && (c.Action == "CreateImage" || c.Action == "CopyImage")
}

func removes(c call) bool { return !c.DryRun && notFoundCodes[c.Action] != "" }

// apply reports whether the fault makes sense at a call.
func (f *fault) applies(c call) bool {
	if f.only != nil {
		return f.only(c)
	}
	// A dry run only checks permissions.
	return !c.DryRun || slices.Contains([]how{refuse, reset, silence}, f.how)
}
