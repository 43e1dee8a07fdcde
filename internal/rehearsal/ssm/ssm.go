// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package ssm behaves as the Parameter Store of AWS Systems Manager does:
// parameters with versions, labels and tags. One that names an image is there
// only once SSM has seen that image. Everything lives in memory.
package ssm

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Service is one account's Parameter Store in all regions.
type Service struct {
	Clock     pace.Clock
	Looks     time.Duration // how long it takes to look at an image
	AccountID string
	Open      func(region string) bool     // whether the account can use a region
	HasImage  func(region, id string) bool // whether it sees an available image there

	mu      sync.Mutex
	regions map[string]map[string]*parameter
}

// call is one request while it is served. The service is locked meanwhile.
type call struct {
	s      *Service
	region string
	all    map[string]*parameter // of the region, by name
	p      query.Params
	now    time.Time
}

var actions = map[string]func(*call) (any, error){
	"PutParameter":           (*call).put,
	"GetParameter":           (*call).get,
	"GetParameters":          (*call).getSome,
	"GetParametersByPath":    (*call).getByPath,
	"GetParameterHistory":    (*call).history,
	"LabelParameterVersion":  (*call).label,
	"DeleteParameter":        (*call).remove,
	"DeleteParameters":       (*call).removeSome,
	"AddTagsToResource":      (*call).addTags,
	"RemoveTagsFromResource": (*call).removeTags,
	"ListTagsForResource":    (*call).listTags,
}

// Call serves one action in a region. The answer is for encoding/json; the
// error is always a *query.Error.
func (s *Service) Call(region, action string, p query.Params) (any, error) {
	run := actions[action]
	switch {
	case run == nil:
		return nil, query.Errorf("InvalidAction", "The rehearsal does not have the action %s.", action)
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

// settle lets SSM look at those images whose time has come: the version is
// there if the image is, and else it never was.
func (s *Service) settle(region string, now time.Time) {
	for name, p := range s.regions[region] {
		p.versions = slices.DeleteFunc(p.versions, func(v *version) bool {
			if v.looksUntil.IsZero() || now.Before(v.looksUntil) {
				return false
			}
			v.looksUntil = time.Time{}
			return !s.HasImage(region, v.Value)
		})
		if len(p.versions) == 0 {
			delete(s.regions[region], name)
		}
	}
}

// Parameter is what there is of one, for an inventory.
type Parameter struct {
	Name, Region string
	Image        string // that it names
	Tags         map[string]string
}

// Parameters returns all that are there, by region and name.
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
