// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"net/http"
	"slices"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// outage is a time in which requests have no answer.
type outage struct {
	Fault
	until time.Time
}

// startOutage starts an outage, or ends all. The caller holds the lock.
func (l *faults) startOutage(f Fault, now time.Time) {
	lasts, _ := time.ParseDuration(f.Outage)
	if lasts <= 0 {
		l.outages = nil
		return
	}
	l.outages = append(l.outages, outage{f, now.Add(lasts)})
}

// unanswered returns how a request fails during an outage; nil without one. It
// closes the request's connection where the outage says so.
func (l *faults) unanswered(at scope, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.outages {
		if !now.Before(o.until) || o.Region != "" && o.Region != at.region || o.Service != "" && o.Service != at.service {
			continue
		}
		if o.Drop {
			panic(http.ErrAbortHandler) // as net/http documents
		}
		code := "ServiceUnavailable"
		if at.service == "ec2" {
			code = "Unavailable"
		}
		return &query.Error{Code: code, Message: "The service is unavailable. Please try again shortly.", Status: http.StatusServiceUnavailable}
	}
	return nil
}

// expiredToken returns the service's error for an expired session token
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html for
// EC2); nil for a token that has not expired.
func (l *faults) expiredToken(at scope, r *http.Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.expired, "*") && !slices.Contains(l.expired, r.Header.Get("X-Amz-Security-Token")) {
		return nil
	}
	const text = "The security token included in the request is expired"
	switch at.service {
	case "ec2":
		return &query.Error{Code: "RequestExpired", Message: "Request has expired."}
	case "ssm", "kms", "pricing", "servicequotas":
		return &query.Error{Code: "ExpiredTokenException", Message: text}
	case "s3":
		return &query.Error{Code: "ExpiredToken", Message: "The provided token has expired."}
	}
	return &query.Error{Code: "ExpiredToken", Message: text, Status: http.StatusForbidden}
}

// reachable returns the error of a request during an outage, or with an expired
// session token.
func (s *Server) reachable(at scope, r *http.Request) error {
	if err := s.faults.unanswered(at, s.cfg.Clock.Now()); err != nil {
		return err
	}
	return s.faults.expiredToken(at, r)
}
