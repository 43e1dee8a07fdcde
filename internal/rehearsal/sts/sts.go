// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package sts simulates AWS's Security Token Service in a rehearsal: it returns the
// identity of the caller.
package sts

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Service contains one caller: the only user of the rehearsal's account, or a session of
// another account's role.
type Service struct {
	AccountID string
	Keys      // of the caller
	Now       func() time.Time
	Caller    string // ARN of the caller; empty for the user
	// Open starts a session of a role in another account, and returns its keys.
	Open func(account, roleARN, session string) Keys
}

// Keys sign requests. A user has no session token.
type Keys struct{ AccessKey, SecretKey, Token string }

// Call serves one action. The body is a struct with xml tags; the error is
// always a *query.Error.
func (s Service) Call(action string, p query.Params) (any, error) {
	switch action {
	case "GetCallerIdentity":
		return identity{cmp.Or(s.Caller, "arn:aws:iam::"+s.AccountID+":user/rehearsal"), userID(s.AccessKey), s.AccountID}, nil
	case "GetSessionToken":
		return struct {
			Credentials credentials `xml:"Credentials"`
		}{s.credentials()}, nil
	case "AssumeRole":
		return s.assumeRole(p)
	case "DecodeAuthorizationMessage":
		if p.Get("EncodedMessage") == "" {
			return nil, &query.Error{Code: "ValidationError", Message: "EncodedMessage must have a value"}
		}
		return struct {
			Message string `xml:"DecodedMessage"`
		}{`{"allowed":false,"explicitDeny":false,"matchedStatements":{"items":[]}}`}, nil
	}
	return nil, query.Errorf("InvalidAction", "Could not find operation %s for version 2011-06-15", action)
}

type identity struct {
	Arn     string `xml:"Arn"`
	UserID  string `xml:"UserId"`
	Account string `xml:"Account"`
}

type credentials struct {
	AccessKey string `xml:"AccessKeyId"`
	SecretKey string `xml:"SecretAccessKey"`
	Token     string `xml:"SessionToken"`
	Expires   string `xml:"Expiration"`
}

// credentials returns the caller's own credentials: its account has no others.
func (s Service) credentials() credentials {
	return credentials{s.AccessKey, s.SecretKey, cmp.Or(s.Token, "rehearsal"), s.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
}

func (s Service) assumeRole(p query.Params) (any, error) {
	arn, name := p.Get("RoleArn"), p.Get("RoleSessionName")
	if !strings.HasPrefix(arn, "arn:") || !strings.Contains(arn, ":role/") {
		return nil, &query.Error{Code: "ValidationError", Message: arn + " is invalid"}
	}
	if name == "" {
		return nil, &query.Error{Code: "ValidationError", Message: "1 validation error detected: Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null"}
	}
	role := arn[strings.LastIndexByte(arn, '/')+1:]
	var answer struct {
		User struct {
			ID  string `xml:"AssumedRoleId"`
			Arn string `xml:"Arn"`
		} `xml:"AssumedRoleUser"`
		Credentials credentials `xml:"Credentials"`
	}
	answer.User.ID = "AROA" + userID(arn)[4:] + ":" + name
	account := s.AccountID
	answer.Credentials = s.credentials()
	if parts := strings.Split(arn, ":"); len(parts) == 6 && parts[4] != account && s.Open != nil {
		account = parts[4]
		keys := s.Open(account, arn, name)
		answer.Credentials.AccessKey, answer.Credentials.SecretKey, answer.Credentials.Token = keys.AccessKey, keys.SecretKey, keys.Token
	}
	answer.User.Arn = "arn:aws:sts::" + account + ":assumed-role/" + role + "/" + name
	return answer, nil
}

// userID generates the 21 characters of a principal's id.
func userID(of string) string {
	sum := sha256.Sum256([]byte(of))
	return "AIDA" + strings.ToUpper(hex.EncodeToString(sum[:]))[:17]
}
