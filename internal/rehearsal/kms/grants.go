// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package kms

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// grant lets a principal use a key; it is a GrantListEntry of the API.
type grant struct {
	KeyId, GrantId, Name, GranteePrincipal, IssuingAccount string //nolint:revive // names of the API
	Operations                                             []string
}

// toRead are the operations that EBS performs to copy what a key has encrypted
// (https://docs.aws.amazon.com/ebs/latest/userguide/share-kms-key.html).
var toRead = []string{"CreateGrant", "Decrypt", "DescribeKey", "ReEncryptFrom"}

// createGrant is idempotent for a name with the same parameters.
func (s *Service) createGrant(k *key, p query.Params) (any, error) {
	g := grant{
		KeyId: k.Arn, Name: p.Get("Name"), GranteePrincipal: p.Get("GranteePrincipal"), IssuingAccount: "arn:aws:iam::" + s.AccountID + ":root",
		Operations: p.List("Operations"),
	}
	switch {
	case k.KeyManager == "AWS":
		return nil, query.Errorf("AccessDeniedException", "The key %s is managed by AWS, and its policy does not allow the request", k.Arn)
	case !strings.HasPrefix(g.GranteePrincipal, "arn:aws:"):
		return nil, query.Errorf("InvalidArnException", "ARN does not refer to a valid principal: %s", g.GranteePrincipal)
	case len(g.Operations) == 0:
		return nil, query.Errorf("ValidationException", "1 validation error detected: Value null at 'operations' failed to satisfy constraint: Member must not be null")
	}
	slices.Sort(g.Operations)
	for _, have := range k.grants {
		if g.Name != "" && have.Name == g.Name && have.GranteePrincipal == g.GranteePrincipal && slices.Equal(have.Operations, g.Operations) {
			return createdGrant{have.GrantId, have.GrantId + "-token"}, nil
		}
	}
	s.count++
	sum := sha256.Sum256(fmt.Appendf(nil, "grant %s %d", s.Seed, s.count))
	g.GrantId = hex.EncodeToString(sum[:])
	k.grants = append(k.grants, g)
	return createdGrant{g.GrantId, g.GrantId + "-token"}, nil
}

type createdGrant struct{ GrantId, GrantToken string } //nolint:revive // names of the API

func (k *key) revokeGrant(id string) error {
	i := slices.IndexFunc(k.grants, func(g grant) bool { return g.GrantId == id })
	if i < 0 {
		return query.Errorf("NotFoundException", "Grant ID %s not found", id)
	}
	k.grants = slices.Delete(k.grants, i, i+1)
	return nil
}

type grantList struct {
	Grants    []grant
	Truncated bool
}

func (k *key) listGrants(p query.Params) grantList {
	list := grantList{Grants: []grant{}}
	for _, g := range k.grants {
		if id, by := p.Get("GrantId"), p.Get("GranteePrincipal"); (id == "" || g.GrantId == id) && (by == "" || g.GranteePrincipal == by) {
			list.Grants = append(list.Grants, g)
		}
	}
	return list
}

// Readable reports whether EBS can read, for a principal of another account, what a key
// has encrypted: by a grant, or because the key's policy includes the account.
func (s *Service) Readable(keyARN, account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := strings.SplitN(keyARN, ":", 6)
	if len(parts) != 6 {
		return false
	}
	k, err := s.find(s.region(parts[3]), parts[3], keyARN)
	if err != nil || !k.Enabled {
		return false
	}
	if strings.Contains(k.policy, ":"+account+":") {
		return true
	}
	return slices.ContainsFunc(k.grants, func(g grant) bool {
		missing := slices.ContainsFunc(toRead, func(op string) bool { return !slices.Contains(g.Operations, op) })
		return strings.Contains(g.GranteePrincipal, ":"+account+":") && !missing
	})
}

// ConditionKeys returns the condition keys of a request.
func ConditionKeys(p query.Params) []policy.Keys {
	return []policy.Keys{{policy.GranteePrincipal: p.Get("GranteePrincipal")}}
}
