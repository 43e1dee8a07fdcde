// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package api

import "github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"

// Tokens contains the results of the calls with a client token, by action and token.
type Tokens map[string]*tokenResult

// tokenResult is the result of a call with a client token.
type tokenResult struct {
	params query.Params
	ids    []string
}

// FindByToken returns the resources that an earlier call with the same client token
// created.
func (r *Request) FindByToken() (ids []string, again bool, err error) {
	token := r.Params.Get("ClientToken")
	if token == "" {
		return nil, false, nil
	}
	before, ok := r.Tokens[r.Action+" "+token]
	if !ok {
		return nil, false, nil
	}
	if !before.params.Equal(r.Params) {
		return nil, false, query.Errorf("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
	}
	return before.ids, true, nil
}

// StoreToken stores the resources of this call under its client token.
func (r *Request) StoreToken(ids []string) {
	if token := r.Params.Get("ClientToken"); token != "" {
		r.Tokens[r.Action+" "+token] = &tokenResult{r.Params, ids}
	}
}
