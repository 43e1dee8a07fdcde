// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package kms keeps keys in a rehearsal, as AWS's Key Management Service does.
// Nothing is encrypted with them: they can be made, named, disabled, described
// and given a policy.
package kms

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Service is one account's KMS in all regions.
type Service struct {
	AccountID string
	Seed      string // of all ids

	mu      sync.Mutex
	made    int
	regions map[string]*region
}

type region struct {
	keys    map[string]*key   // by id
	aliases map[string]string // alias/name to id
}

// key is the KeyMetadata of one.
type key struct {
	AWSAccountId, KeyId, Arn                            string //nolint:revive // as on the wire
	Enabled                                             bool
	Description, KeyUsage, KeyState, Origin, KeyManager string
	CustomerMasterKeySpec, KeySpec                      string

	policy string
}

// defaultAlias is the key that EBS makes for an account in each region.
const defaultAlias = "alias/aws/ebs"

func (s *Service) region(name string) *region {
	if s.regions == nil {
		s.regions = map[string]*region{}
	}
	r := s.regions[name]
	if r == nil {
		r = &region{keys: map[string]*key{}, aliases: map[string]string{}}
		s.regions[name] = r
		r.aliases[defaultAlias] = s.add(r, name, "AWS", "Default key that protects my EBS volumes when no other key is defined").KeyId
	}
	return r
}

func (s *Service) add(r *region, name, manager, description string) *key {
	s.made++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", s.Seed, name, s.made))
	h := hex.EncodeToString(sum[:16])
	id := strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
	k := &key{
		AWSAccountId: s.AccountID, KeyId: id, Arn: "arn:aws:kms:" + name + ":" + s.AccountID + ":key/" + id, Enabled: true, Description: description,
		KeyUsage: "ENCRYPT_DECRYPT", KeyState: "Enabled", Origin: "AWS_KMS", KeyManager: manager, CustomerMasterKeySpec: "SYMMETRIC_DEFAULT", KeySpec: "SYMMETRIC_DEFAULT",
		policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + s.AccountID + `:root"},"Action":"kms:*","Resource":"*"}]}`,
	}
	r.keys[id] = k
	return k
}

// find takes an id, an alias, or the ARN of either.
func (r *region) find(name string) (*key, error) {
	id := name
	if strings.HasPrefix(name, "arn:") {
		id = strings.TrimPrefix(name[strings.LastIndexByte(name, ':')+1:], "key/")
	}
	if of, ok := r.aliases[id]; ok {
		id = of
	}
	k := r.keys[id]
	if k == nil || strings.HasPrefix(name, "arn:") && strings.Contains(name, ":key/") && k.Arn != name {
		return nil, query.Errorf("NotFoundException", "Invalid keyId '%s'", name)
	}
	return k, nil
}

// Call serves one action in a region. The answer is for encoding/json; the
// error is always a *query.Error.
func (s *Service) Call(regionName, action string, p query.Params) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.region(regionName)
	switch action {
	case "CreateKey":
		k := s.add(r, regionName, "CUSTOMER", p.Get("Description"))
		if policy := p.Get("Policy"); policy != "" {
			k.policy = policy
		}
		return described{*k}, nil
	case "CreateAlias":
		name := p.Get("AliasName")
		if !strings.HasPrefix(name, "alias/") || strings.HasPrefix(name, "alias/aws/") {
			return nil, query.Errorf("InvalidAliasNameException", "Alias must start with the prefix \"alias/\", and not with \"alias/aws/\"")
		}
		if _, taken := r.aliases[name]; taken {
			return nil, query.Errorf("AlreadyExistsException", "An alias with the name %s already exists", name)
		}
		k, err := r.find(p.Get("TargetKeyId"))
		if err != nil {
			return nil, err
		}
		r.aliases[name] = k.KeyId
		return nil, nil
	}
	k, err := r.find(p.Get("KeyId"))
	if err != nil {
		return nil, err
	}
	switch action {
	case "DescribeKey":
		return described{*k}, nil
	case "EnableKey":
		k.Enabled, k.KeyState = true, "Enabled"
	case "DisableKey":
		k.Enabled, k.KeyState = false, "Disabled"
	case "GetKeyPolicy":
		return struct{ Policy, PolicyName string }{k.policy, "default"}, nil
	case "PutKeyPolicy":
		k.policy = p.Get("Policy")
	default:
		return nil, query.Errorf("UnknownOperationException", "The rehearsal does not have the action %s.", action)
	}
	return nil, nil
}

type described struct{ KeyMetadata key }
