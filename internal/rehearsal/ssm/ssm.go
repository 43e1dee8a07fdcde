// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package ssm simulates two parts of AWS Systems Manager: Parameter Store, with
// versions, labels and tags, where an image parameter exists only after SSM has
// validated the image; and Session Manager, which forwards a port of an instance. Its
// state is in memory.
package ssm

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/tunnel"
)

// Service is one account's Systems Manager in all regions.
type Service struct {
	Clock           pace.Clock
	ImageValidation time.Duration // duration of the validation of an image
	AccountID       string
	Open            func(region string) bool     // whether the account can use a region
	HasImage        func(region, id string) bool // whether the image is available to the account
	// Agent returns the address of an instance whose agent is connected.
	Agent    func(region, id string) (address string, connected bool)
	Sessions *tunnel.Sessions // sessions of Session Manager

	mu      sync.Mutex
	regions map[string]map[string]*parameter
}

// call is the request being served. It holds the service's lock.
type call struct {
	s      *Service
	region string
	all    map[string]*parameter // the region's parameters by name
	p      query.Params
	now    time.Time
}

var actions = map[string]func(*call) (any, error){
	"PutParameter":           (*call).put,
	"GetParameter":           (*call).get,
	"GetParameters":          (*call).getMany,
	"GetParametersByPath":    (*call).getByPath,
	"GetParameterHistory":    (*call).history,
	"LabelParameterVersion":  (*call).label,
	"DeleteParameter":        (*call).remove,
	"DeleteParameters":       (*call).removeMany,
	"AddTagsToResource":      (*call).addTags,
	"RemoveTagsFromResource": (*call).removeTags,
	"ListTagsForResource":    (*call).listTags,
	"StartSession":           (*call).startSession,
	"TerminateSession":       (*call).terminateSession,
}

// Call serves one action in a region. The response is encoded by
// encoding/json; the error is always a *query.Error.
func (s *Service) Call(region, action string, p query.Params) (any, error) {
	run := actions[action]
	switch {
	case run == nil:
		return nil, query.Errorf("InvalidAction", "The rehearsal does not support the action %s.", action)
	case !s.Open(region):
		return nil, query.Errorf("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.regions == nil {
		s.regions = map[string]map[string]*parameter{}
	}
	if s.regions[region] == nil {
		s.regions[region] = map[string]*parameter{}
	}
	c := &call{s: s, region: region, all: s.regions[region], p: p, now: s.Clock.Now()}
	s.settle(region, c.now)
	return run(c)
}

// settle completes the image validations that are due: a version of a missing image is
// deleted.
func (s *Service) settle(region string, now time.Time) {
	for name, p := range s.regions[region] {
		p.versions = slices.DeleteFunc(p.versions, func(v *version) bool {
			if v.validatesUntil.IsZero() || now.Before(v.validatesUntil) {
				return false
			}
			v.validatesUntil = time.Time{}
			return !s.HasImage(region, v.Value)
		})
		if len(p.versions) == 0 {
			delete(s.regions[region], name)
		}
	}
}

// Parameter describes a parameter in the inventory.
type Parameter struct {
	Name, Region string
	Image        string // image id in the parameter
	Tags         map[string]string
}

// Parameters returns all parameters, ordered by region and name.
func (s *Service) Parameters() []Parameter {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Parameter
	for _, region := range slices.Sorted(maps.Keys(s.regions)) {
		s.settle(region, s.Clock.Now())
		for _, name := range slices.Sorted(maps.Keys(s.regions[region])) {
			p := s.regions[region][name]
			v := p.current()
			if v == nil {
				continue
			}
			one := Parameter{Name: name, Region: region, Tags: maps.Clone(p.tags)}
			if v.DataType == imageType {
				one.Image = v.Value
			}
			out = append(out, one)
		}
	}
	return out
}
