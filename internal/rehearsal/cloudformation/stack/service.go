// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package stack simulates the stacks of AWS CloudFormation: it creates, updates, rolls
// back and deletes the resources of templates, with CreationPolicy, UpdatePolicy and
// signals.
//
// Nothing runs in the background: every call first does what is due (Settle).
package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Config configures a Service.
type Config struct {
	Clock     pace.Clock
	Pace      pace.Profile // Stack is the least duration of a change, Signal the longest wait for signals
	AccountID string       // twelve digits
	Seed      string       // determines all ids
	Zones     func(region string) []string
	Client    query.Client // of the account's other services
}

// Service is the stacks of one account in all regions. Its methods are safe for
// concurrent use.
type Service struct {
	cfg     Config
	mu      sync.Mutex // guards everything below
	idCount int        // number of ids
	stacks  []*stack   // in the order of creation, including deleted ones
}

// New returns a service without stacks.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Input is a request to create or update a stack.
type Input struct {
	Name         string
	ID           string // of a new stack of a stack set; empty generates one
	Template     *template.Template
	Parameters   map[string]string // all that the template declares
	Tags         map[string]string
	Capabilities []string
	OnFailure    string // ROLLBACK (default), DELETE or DO_NOTHING
	Token        string
	At           time.Time // zero for now
}

// deployment is what a stack is made from.
type deployment struct {
	template     *template.Template
	parameters   map[string]string
	resolved     map[string]string // values of parameters that name one of Systems Manager
	tags         map[string]string
	capabilities []string
}

// Settle does what is due in all stacks.
func (s *Service) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
}

func (s *Service) settle() {
	for _, v := range s.stacks {
		v.advance(s.cfg.Clock.Now())
	}
}

// find returns the stack of that name or id. A deleted stack has only its id.
func (s *Service) find(region, name string) *stack {
	for _, v := range s.stacks {
		if v.Region == region && (v.ID == name || v.Name == name && v.Status != DeleteComplete) {
			return v
		}
	}
	return nil
}

func unknown(name string) error { return invalid("Stack with id %s does not exist", name) }

// Create begins to create a stack and returns its id.
func (s *Service) Create(region string, in Input) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	if v := s.find(region, in.Name); v != nil {
		if in.Token != "" && v.token == in.Token {
			return v.ID, nil
		}
		return "", query.Errorf("AlreadyExistsException", "Stack [%s] already exists", in.Name)
	}
	d, err := s.deployment(region, in)
	if err != nil {
		return "", err
	}
	now := s.at(in)
	v := &stack{service: s, ID: in.ID, Name: in.Name, Region: region, created: now, now: d, onFailure: in.OnFailure, token: in.Token}
	if v.ID == "" {
		v.ID = "arn:aws:cloudformation:" + region + ":" + s.cfg.AccountID + ":stack/" + in.Name + "/" + s.uuid()
	}
	order, err := v.scope(d).Resources()
	if err != nil {
		return "", err
	}
	s.stacks = append(s.stacks, v)
	v.set(now, "CREATE_IN_PROGRESS", "User Initiated")
	v.run = &run{verb: "CREATE", began: now, order: order}
	v.advance(now)
	return v.ID, nil
}

// Update begins to update a stack and returns its id. Without a change, it returns the
// error of that CloudFormation.
func (s *Service) Update(region, name string, in Input) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	v := s.find(region, name)
	if v == nil || v.Status == DeleteComplete {
		return "", invalid("Stack [%s] does not exist", name)
	}
	if v.run != nil || !strings.HasSuffix(v.Status, "_COMPLETE") || v.Status == "ROLLBACK_COMPLETE" {
		return "", invalid("Stack:%s is in %s state and can not be updated.", v.ID, v.Status)
	}
	d, err := s.deployment(region, in)
	if err != nil {
		return "", err
	}
	if d.template.Body == v.now.template.Body && maps.Equal(d.parameters, v.now.parameters) && maps.Equal(d.resolved, v.now.resolved) && maps.Equal(d.tags, v.now.tags) {
		return "", invalid("No updates are to be performed.")
	}
	order, err := v.scope(d).Resources()
	if err != nil {
		return "", err
	}
	now := s.at(in)
	v.former, v.now, v.updated = v.now, d, now
	v.set(now, "UPDATE_IN_PROGRESS", "User Initiated")
	v.run = &run{verb: "UPDATE", began: now, order: order, before: v.snapshot()}
	v.advance(now)
	return v.ID, nil
}

// Delete begins to delete a stack at a time. A missing one is deleted.
func (s *Service) Delete(region, name string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	v := s.find(region, name)
	if v == nil || strings.HasPrefix(v.Status, "DELETE_") && v.Status != "DELETE_FAILED" {
		return nil
	}
	v.set(now, "DELETE_IN_PROGRESS", "User Initiated")
	v.run = &run{verb: "DELETE", began: now, deleting: true}
	v.advance(now)
	return nil
}

func (s *Service) at(in Input) time.Time {
	if in.At.IsZero() {
		return s.cfg.Clock.Now()
	}
	return in.At
}

// deployment resolves the parameters that name one of Systems Manager.
func (s *Service) deployment(region string, in Input) (*deployment, error) {
	d := &deployment{in.Template, in.Parameters, map[string]string{}, in.Tags, in.Capabilities}
	for _, p := range in.Template.Parameters() {
		if !strings.HasPrefix(p.Type, "AWS::SSM::Parameter::Value<") {
			continue
		}
		v, err := s.parameter(region, in.Parameters[p.Key])
		if err != nil {
			return nil, invalid("Unable to fetch parameters [%s] from parameter store for this account.", in.Parameters[p.Key])
		}
		d.resolved[p.Key] = v
	}
	return d, nil
}

func (s *Service) parameter(region, name string) (string, error) {
	var found struct{ Parameter struct{ Value string } }
	err := s.cfg.Client("ssm", region, "GetParameter", query.Params{"Name": name}, &found)
	return found.Parameter.Value, err
}

// State is the state of a stack.
type State struct {
	ID, Name, Status, Reason string
	Busy                     bool
	Ended                    time.Time // of the last change
	Failed                   string    // the first failed resource, as stack sets report it
	Tags                     map[string]string
}

// State returns the state of a stack; false if it does not exist.
func (s *Service) State(region, id string) (State, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	v := s.find(region, id)
	if v == nil {
		return State{}, false
	}
	return v.state(), true
}

// Existing returns the stacks that exist, by region.
func (s *Service) Existing() map[string][]State {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	out := map[string][]State{}
	for _, v := range s.stacks {
		if v.Status != DeleteComplete {
			out[v.Region] = append(out[v.Region], v.state())
		}
	}
	return out
}

// uuid generates the next id.
func (s *Service) uuid() string {
	s.idCount++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s stack %s %d", s.cfg.Seed, s.cfg.AccountID, s.idCount))
	h := hex.EncodeToString(sum[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// invalid returns a ValidationError.
func invalid(format string, args ...any) error {
	return query.Errorf("ValidationError", format, args...)
}

// stamp formats a time for the protocol; an empty string for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
