// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package kms simulates AWS's Key Management Service in a rehearsal. Keys can be
// created, aliased, disabled, described, given a policy and granted; nothing is
// encrypted.
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
	Seed      string // determines all ids

	mu      sync.Mutex
	count   int
	regions map[string]*region
}

type region struct {
	keys    map[string]*key   // by id
	aliases map[string]string // alias/name to id
}

// key is the KeyMetadata of a key.
type key struct {
	AWSAccountId, KeyId, Arn                            string //nolint:revive // names of the API
	Enabled                                             bool
	Description, KeyUsage, KeyState, Origin, KeyManager string
	CustomerMasterKeySpec, KeySpec                      string

	policy string
	grants []grant
}

// defaultAlias is the AWS managed key for EBS, which exists in each region.
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
	s.count++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", s.Seed, name, s.count))
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

// find returns a key by id, alias, or the ARN of either. An ARN must name this account
// and region.
func (s *Service) find(r *region, regionName, name string) (*key, error) {
	id := name
	if strings.HasPrefix(name, "arn:") {
		resource, ours := strings.CutPrefix(name, "arn:aws:kms:"+regionName+":"+s.AccountID+":")
		id = strings.TrimPrefix(resource, "key/")
		switch isAlias, isKey := strings.HasPrefix(resource, "alias/"), strings.HasPrefix(resource, "key/"); {
		case !ours && strings.Count(name, ":") != 5:
			return nil, query.Errorf("InvalidArnException", "Invalid arn '%s'", name)
		case !ours, !isAlias && !isKey:
			return nil, query.Errorf("NotFoundException", "Invalid arn '%s'", name)
		}
	}
	if of, ok := r.aliases[id]; ok {
		return r.keys[of], nil
	}
	if k := r.keys[id]; k != nil {
		return k, nil
	}
	if strings.Contains(id, "alias/") {
		return nil, query.Errorf("NotFoundException", "Alias arn:aws:kms:%s:%s:%s is not found.", regionName, s.AccountID, id)
	}
	return nil, query.Errorf("NotFoundException", "Invalid keyId '%s'", name)
}

// ForEBS returns the ARN of a key, or of its alias for an AWS managed key, and whether
// EBS can encrypt with it. The ARN is empty if the key does not exist.
func (s *Service) ForEBS(regionName, name string) (arn string, usable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.find(s.region(regionName), regionName, name)
	switch {
	case err != nil:
		return "", false
	case k.KeyManager == "AWS":
		return "arn:aws:kms:" + regionName + ":" + s.AccountID + ":" + defaultAlias, k.Enabled
	}
	return k.Arn, k.Enabled
}

// Call serves one action in a region. The response is encoded by
// encoding/json; the error is always a *query.Error.
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
		k, err := s.find(r, regionName, p.Get("TargetKeyId"))
		if err != nil {
			return nil, err
		}
		r.aliases[name] = k.KeyId
		return nil, nil
	}
	k, err := s.find(r, regionName, p.Get("KeyId"))
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
	case "CreateGrant":
		return s.createGrant(k, p)
	case "RevokeGrant":
		return nil, k.revokeGrant(p.Get("GrantId"))
	case "ListGrants":
		return k.listGrants(p), nil
	default:
		return nil, query.Errorf("UnknownOperationException", "The rehearsal does not support the action %s.", action)
	}
	return nil, nil
}

type described struct{ KeyMetadata key }
