// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package rehearsal simulates AWS on loopback: a server that implements the wire
// protocols of the services that a build uses, keeps a state for each region, and
// behaves like AWS for building images. It needs no account, incurs no charges, and
// makes no outgoing connections.
//
// One server process serves one state folder. Connect finds or starts it. New returns
// the same server for use in a test.
package rehearsal

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/awsjson"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/iam"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/imds"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instanceconnect"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/kms"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pricing"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/s3"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/servicequotas"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ssm"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/sts"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/tunnel"
)

// AccountID is the account of every rehearsal; AWS uses it in examples.
const AccountID = "111122223333"

// CallerIP is the public address of a rehearsal's caller. No request determines it.
const CallerIP = "127.0.0.1"

// Config configures a Server. The zero value is a server without machines and without
// delays, on the system clock.
type Config struct {
	Clock     pace.Clock             // nil for the system clock
	SignedAt  func() time.Time       // the time that signatures must have; nil for time.Now
	Pace      pace.Profile           // durations of operations
	Host      instance.Host          // starts machines; with nil, instances have states but no machine
	AccessKey string                 // key id of valid requests; generated if empty
	SecretKey string                 // also authorizes control requests; generated if empty
	Seed      string                 // determines all ids; random if empty
	OptIn     bool                   // the account has opted in to all regions
	Addresses uint16                 // see ec2.Config
	Faults    []Fault                // injected faults
	Policy    *policy.Document       // the caller's policy; nil allows everything
	Templates cloudformation.Fetcher // reads TemplateURLs; nil for the rehearsal's S3
	Log       func(format string, args ...any)
	// Record, if set, is called with every response of a service, for tests.
	Record func(service, action string, status int, body []byte)
}

// Server is a simulated AWS. It is an http.Handler that selects the service and the
// region by the scope of the request's signature.
type Server struct {
	cfg    Config
	own    *account // also in the fields below
	ec2    *ec2.Service
	sts    sts.Service
	caller iam.Caller
	iam    *iam.Service
	kms    *kms.Service
	s3     *s3.Service
	ssm    *ssm.Service
	quotas servicequotas.Service
	stacks *cloudformation.Service
	tunnel tunnel.Sessions
	faults faults
	calls  calls

	mu     sync.Mutex
	others map[string]*account // by id
	roles  map[string]*role    // by access key
	// instanceKeys are the keys of the roles of instances, by instance id.
	instanceKeys map[string]sts.Keys
	onOwner      func(pid int) error // set by Serve
	onStop       func()
	describe     func() Session
}

// New returns a server.
func New(cfg Config) *Server {
	if cfg.Clock == nil {
		cfg.Clock = pace.System{}
	}
	if cfg.SignedAt == nil {
		cfg.SignedAt = time.Now
	}
	if cfg.AccessKey == "" {
		cfg.AccessKey = randomKeyID()
	}
	if cfg.SecretKey == "" {
		cfg.SecretKey = randomHex(20)
	}
	if cfg.Seed == "" {
		cfg.Seed = randomHex(8)
	}
	s := &Server{cfg: cfg, kms: &kms.Service{AccountID: AccountID, Seed: cfg.Seed}, others: map[string]*account{}, roles: map[string]*role{}, instanceKeys: map[string]sts.Keys{}}
	s.iam = &iam.Service{Clock: cfg.Clock, AccountID: AccountID, Delay: cfg.Pace.NotFound}
	s.ec2 = ec2.New(ec2.Config{
		Clock: cfg.Clock, Pace: cfg.Pace, Host: cfg.Host, AccountID: AccountID, Seed: cfg.Seed, OptIn: cfg.OptIn, Addresses: cfg.Addresses, Log: cfg.Log,
		Profile: s.iam.ProfileForLaunch, Role: func(profileARN, instanceID string) *imds.Role { return s.instanceRole(s.own, profileARN, instanceID) },
		Keys:   s.kms.ForEBS,
		Refuse: func(region string, p query.Params) error { return s.faults.next(AccountID, region, "RunInstances", p) },
	})
	s.sts = sts.Service{AccountID: AccountID, Keys: sts.Keys{AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey}, Now: cfg.Clock.Now, Open: s.openRole}
	s.caller = iam.Caller{ARN: "arn:aws:iam::" + AccountID + ":user/rehearsal", Policy: cfg.Policy}
	s.s3 = &s3.Service{Clock: cfg.Clock, AccountID: AccountID, Open: s.ec2.Open}
	if cfg.Templates == nil {
		s.cfg.Templates = s.s3
	}
	s.own = &account{id: AccountID, ec2: s.ec2, iam: s.iam, kms: s.kms}
	s.complete(s.own)
	s.ssm, s.stacks = s.own.ssm, s.own.stacks
	for _, f := range cfg.Faults {
		s.AddFault(f)
	}
	return s
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// randomKeyID generates an access key id in AWS's format.
func randomKeyID() string {
	b := make([]byte, 10)
	_, _ = rand.Read(b) // never fails
	return "AKIA" + base32.StdEncoding.EncodeToString(b)
}

// Allow sets the caller's policy; nil allows everything.
func (s *Server) Allow(d *policy.Document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caller.Policy = d
}

// Close stops all machines. Later calls return Unavailable.
func (s *Server) Close() error { return s.ec2.Close() }

// Usage returns the usage of each instance.
func (s *Server) Usage() []ec2.Usage { return s.ec2.Usage() }

// Stacks returns the stacks of a stack set in a region.
func (s *Server) Stacks(region, set string) []cloudformation.Stack {
	return s.stacks.Stacks(region, set)
}

// JoinUnit adds an account to an organizational unit.
func (s *Server) JoinUnit(unit, account string) { s.stacks.Join(unit, account) }

// ServeHTTP serves a request to a service, or to the rehearsal's own paths.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, sessionPath) {
		s.tunnel.ServeHTTP(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, controlPath) {
		s.control(w, r)
		return
	}
	scope, ok := scopeOf(r)
	if scope.service == "s3" {
		s.serveS3(w, r, scope)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	requestID := uuid()
	proto := protocolOf(r, scope)
	action := ""
	body, err := func() (any, error) {
		var p query.Params
		err := s.reachable(scope, r)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, query.Errorf("MissingAuthenticationToken", "Request is missing Authentication Token")
		}
		if err := s.identify(r, &scope); err != nil {
			return nil, err
		}
		if action, p, err = proto.Request(r); err != nil {
			return nil, err
		}
		if action == "" {
			return nil, query.Errorf("MissingAction", "The request must contain the parameter Action")
		}
		return s.serve(scope, action, p)
	}()
	status, out := http.StatusOK, []byte(nil)
	if err == nil {
		if out, err = proto.Response(action, requestID, body); err != nil {
			err = &query.Error{Code: "InternalError", Message: err.Error(), Status: 500}
		}
	}
	if err != nil {
		known := &query.Error{Code: "InternalError", Message: err.Error(), Status: 500}
		errors.As(err, &known)
		status, out = known.HTTPStatus(), proto.Failure(requestID, known)
	}
	if s.cfg.Record != nil {
		s.cfg.Record(scope.service, action, status, out)
	}
	w.Header().Set("Content-Type", proto.ContentType())
	w.Header().Set("x-amzn-RequestId", requestID)
	w.WriteHeader(status)
	_, _ = w.Write(out) // the client may have disconnected
}

// admit counts a call. It returns an injected fault, or an error if the policy does not
// allow the call.
func (s *Server) admit(at scope, action string, p query.Params) error {
	s.calls.count(at.region, action, p)
	if err := s.faults.next(at.account(), at.region, action, p); err != nil {
		return err
	}
	caller, machines := s.callerOf(at)
	switch at.service {
	case "ec2":
		if action == "CreateFleet" {
			p = machines.WithProfile(at.region, p)
		}
		return caller.Check(at.service, action, p, func(needed string) []policy.Keys { return machines.ConditionKeys(at.region, action, needed, p) })
	case "kms":
		return caller.Check(at.service, action, p, func(string) []policy.Keys { return kms.ConditionKeys(p) })
	}
	return caller.Check(at.service, action, p, nil)
}

// serve serves an admitted call.
func (s *Server) serve(at scope, action string, p query.Params) (any, error) {
	if err := s.admit(at, action, p); err != nil {
		return nil, err
	}
	s.settle()
	if at.role != nil {
		if at.service == "sts" {
			return at.role.sts.Call(action, p)
		}
		return at.role.serve(at, action, p, false)
	}
	switch at.service {
	case "sts":
		return s.sts.Call(action, p)
	case "ec2-instance-connect":
		return instanceconnect.Service{Push: s.ec2.PushKey}.Call(at.region, action, p)
	case "servicequotas":
		return s.quotas.Call(at.region, action, p)
	case "pricing":
		return pricing.Service{Offers: s.ec2.Offers, Regions: s.ec2.Regions()}.Call(at.region, action, p)
	}
	return s.own.serve(at, action, p, false)
}

// protocol encodes and decodes the requests of a service.
type protocol interface {
	Request(*http.Request) (action string, p query.Params, err error)
	Response(action, requestID string, body any) ([]byte, error)
	Failure(requestID string, e *query.Error) []byte
	ContentType() string
}

// protocolOf returns the protocol of a request. Like in AWS, JSON requests name their
// action in a header.
func protocolOf(r *http.Request, at scope) protocol {
	if r.Header.Get(awsjson.TargetHeader) != "" {
		return awsjson.Protocol{}
	}
	return query.DialectOf(at.service)
}

// scope is the credential scope of a signature, and the role that it belongs to; nil for
// the rehearsal's own user.
type scope struct {
	accessKey, date, region, service string
	role                             *role
}

// account returns the id of the caller's account.
func (at scope) account() string {
	if at.role != nil {
		return at.role.id
	}
	return AccountID
}

// scopeOf parses AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request.
func scopeOf(r *http.Request) (scope, bool) {
	text := r.URL.Query().Get("X-Amz-Credential")
	if header := r.Header.Get("Authorization"); header != "" {
		_, rest, ok := strings.Cut(header, "Credential=")
		if !ok {
			return scope{}, false
		}
		text, _, _ = strings.Cut(rest, ",")
	}
	parts := strings.Split(strings.TrimSpace(text), "/")
	if len(parts) != 5 || parts[4] != "aws4_request" {
		return scope{}, false
	}
	return scope{accessKey: parts[0], date: parts[1], region: parts[2], service: parts[3]}, true
}

func uuid() string {
	h := randomHex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}
