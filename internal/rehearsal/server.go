// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package rehearsal is an AWS of our own on loopback: a server that speaks the
// wire protocols of the services that a build uses, keeps a state for each
// region, and behaves as AWS does where it matters for baking images. It needs
// no account, costs nothing and reaches nothing outside.
//
// One server process serves one state folder. Connect finds or starts it. New
// makes the same server for use inside a test.
package rehearsal

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/awsjson"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudwatch"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/iam"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/kms"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pricing"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/s3"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/servicequotas"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ssm"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/sts"
)

// AccountID is the account of every rehearsal; AWS uses it in examples.
const AccountID = "111122223333"

// CallerIP is what a rehearsal's caller has as its public address. It is never
// asked for outside.
const CallerIP = "127.0.0.1"

// Config says what a Server is made of. The zero value is a server without
// machines, on the system's clock, where everything happens at once.
type Config struct {
	Clock     pace.Clock             // nil is the system's
	Pace      pace.Profile           // how long things take
	Host      instance.Host          // starts machines; nil means that instances are only names
	AccessKey string                 // what requests must be signed with; made up where empty
	SecretKey string                 // also opens the control paths; made up where empty
	Seed      string                 // of all ids; random where empty
	OptIn     bool                   // the account has opted in to all regions
	Addresses uint16                 // see ec2.Config
	Faults    []Fault                // calls that are to fail
	Policy    *policy.Document       // what the caller may do; nil is everything
	Templates cloudformation.Fetcher // of TemplateURLs; nil: none can be read
	Log       func(format string, args ...any)
	// Record, if set, is called with every answer of a service, for tests.
	Record func(service, action string, status int, body []byte)
}

// Server is an AWS. It is an http.Handler: the services are told apart by the
// scope of the request's signature, as are the regions.
type Server struct {
	cfg    Config
	ec2    *ec2.Service
	sts    sts.Service
	caller iam.Caller
	kms    *kms.Service
	s3     *s3.Service
	ssm    *ssm.Service
	quotas servicequotas.Service
	stacks *cloudformation.Service
	watch  cloudwatch.Service
	faults faults
	calls  calls

	mu       sync.Mutex
	onOwner  func(pid int) error // set by Serve
	onStop   func()
	describe func() Session
}

// New makes a server.
func New(cfg Config) *Server {
	if cfg.Clock == nil {
		cfg.Clock = pace.System{}
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
	s := &Server{cfg: cfg}
	s.ec2 = ec2.New(ec2.Config{
		Clock: cfg.Clock, Pace: cfg.Pace, Host: cfg.Host, AccountID: AccountID, Seed: cfg.Seed, OptIn: cfg.OptIn, Addresses: cfg.Addresses, Log: cfg.Log,
	})
	s.sts = sts.Service{AccountID: AccountID, AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey, Now: cfg.Clock.Now}
	s.caller = iam.Caller{ARN: "arn:aws:iam::" + AccountID + ":user/rehearsal", Policy: cfg.Policy}
	s.kms = &kms.Service{AccountID: AccountID, Seed: cfg.Seed}
	s.s3 = &s3.Service{Clock: cfg.Clock, AccountID: AccountID, Open: s.ec2.Open}
	s.ssm = &ssm.Service{Clock: cfg.Clock, Looks: cfg.Pace.Parameter, AccountID: AccountID, Open: s.ec2.Open, HasImage: s.ec2.HasImage}
	if cfg.Templates == nil {
		cfg.Templates = s.s3
	}
	s.stacks = cloudformation.New(cloudformation.Config{
		Clock: cfg.Clock, Pace: cfg.Pace, AccountID: AccountID, Seed: cfg.Seed, Regions: s.ec2.Regions(), Templates: cfg.Templates,
	})
	s.watch.Clock = cfg.Clock
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

// randomKeyID makes the id of an access key as AWS forms them. The id is what a
// request is known by, so its 80 bits keep other users of the machine out.
func randomKeyID() string {
	b := make([]byte, 10)
	_, _ = rand.Read(b) // never fails
	return "AKIA" + base32.StdEncoding.EncodeToString(b)
}

// Allow lets the caller do from now on what the policy allows; nil is everything.
func (s *Server) Allow(d *policy.Document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caller.Policy = d
}

// Close ends all machines. Calls answer Unavailable from then on.
func (s *Server) Close() error { return s.ec2.Close() }

// Usage returns what each instance has used.
func (s *Server) Usage() []ec2.Usage { return s.ec2.Usage() }

// Stacks returns those of a stack set, which is of a region.
func (s *Server) Stacks(region, set string) []cloudformation.Stack {
	return s.stacks.Stacks(region, set)
}

// ServeHTTP answers a request of a service, or of the rehearsal's own paths.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPath) {
		s.control(w, r)
		return
	}
	scope, ok := scopeOf(r)
	if scope.service == "s3" {
		s.serveS3(w, r, scope)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 8<<20)
	requestID := uuid()
	speaks := protocolOf(r, scope)
	action := ""
	body, err := func() (any, error) {
		var p query.Params
		var err error
		if action, p, err = speaks.Request(r); err != nil {
			return nil, err
		}
		if !ok {
			return nil, query.Errorf("MissingAuthenticationToken", "Request is missing Authentication Token")
		}
		if subtle.ConstantTimeCompare([]byte(scope.accessKey), []byte(s.cfg.AccessKey)) != 1 {
			return nil, &query.Error{Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials", Status: 401}
		}
		if action == "" {
			return nil, query.Errorf("MissingAction", "The request must contain the parameter Action")
		}
		return s.serve(scope, action, p)
	}()
	status, out := http.StatusOK, []byte(nil)
	if err == nil {
		if out, err = speaks.Answer(action, requestID, body); err != nil {
			err = &query.Error{Code: "InternalError", Message: err.Error(), Status: 500}
		}
	}
	if err != nil {
		known := &query.Error{Code: "InternalError", Message: err.Error(), Status: 500}
		errors.As(err, &known)
		status, out = known.HTTPStatus(), speaks.Failure(requestID, known)
	}
	if s.cfg.Record != nil {
		s.cfg.Record(scope.service, action, status, out)
	}
	w.Header().Set("Content-Type", speaks.ContentType())
	w.Header().Set("x-amzn-RequestId", requestID)
	w.WriteHeader(status)
	_, _ = w.Write(out) // the client went away: nobody to tell
}

// admit counts a call, and lets it fail if it is to or its caller may not make
// it.
func (s *Server) admit(at scope, action string, p query.Params) error {
	s.calls.count(at.region, action, p)
	if err := s.faults.next(at.region, action, p); err != nil {
		return err
	}
	s.mu.Lock()
	caller := s.caller
	s.mu.Unlock()
	return caller.Check(at.service, action, p)
}

// serve answers a call that is admitted.
func (s *Server) serve(at scope, action string, p query.Params) (any, error) {
	if err := s.admit(at, action, p); err != nil {
		return nil, err
	}
	switch at.service {
	case "ec2":
		return s.ec2.Call(at.region, action, p)
	case "sts":
		return s.sts.Call(action, p)
	case "kms":
		return s.kms.Call(at.region, action, p)
	case "ssm":
		return s.ssm.Call(at.region, action, p)
	case "servicequotas":
		return s.quotas.Call(at.region, action, p)
	case "cloudformation":
		return s.stacks.Call(at.region, action, p)
	case "monitoring":
		return s.watch.Call(at.region, action, p)
	case "pricing":
		return pricing.Service{Offers: s.ec2.Offers}.Call(at.region, action, p)
	}
	return nil, &query.Error{Code: "InvalidAction", Message: "The rehearsal does not have the service " + at.service + ".", Status: 501}
}

// protocol is how a service is spoken to.
type protocol interface {
	Request(*http.Request) (action string, p query.Params, err error)
	Answer(action, requestID string, body any) ([]byte, error)
	Failure(requestID string, e *query.Error) []byte
	ContentType() string
}

// protocolOf tells the protocols apart as AWS does: those of JSON name their
// action in a header.
func protocolOf(r *http.Request, at scope) protocol {
	if r.Header.Get(awsjson.TargetHeader) != "" {
		return awsjson.Protocol{}
	}
	return query.DialectOf(at.service)
}

// scope is what a signature says of a request.
type scope struct{ accessKey, region, service string }

// scopeOf reads AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request.
// The signature itself is not looked at.
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
	return scope{parts[0], parts[2], parts[3]}, true
}

func uuid() string {
	h := randomHex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}
