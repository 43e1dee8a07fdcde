// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/policy"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2"
	"github.com/eth-mining/packer-plugin-ethminer/internal/shellquote"
)

// Session contains the endpoint and credentials of a running rehearsal. It is stored
// in server.json in the state folder.
type Session struct {
	Endpoint  string `json:"endpoint"` // endpoint of every service, such as http://127.0.0.1:34567
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
	AccountID string `json:"account_id"`
	CallerIP  string `json:"caller_ip"`
	SSHPort   int    `json:"ssh_port"`       // SSH port of every instance; 0 for NoInstance
	Instance  string `json:"instance"`       // Sandbox or NoInstance
	Base      string `json:"base,omitempty"` // what the instances of Sandbox are made from
	Latency   string `json:"latency"`
	PID       int    `json:"pid"` // pid of the server
	// Owned is true if the server stops with the processes that use it, such as Packer,
	// see Options.Owner.
	Owned bool `json:"owned,omitempty"`

	Policy *policy.Document `json:"policy,omitempty"` // the caller's policy; nil allows everything
}

// AWSConfig returns the configuration of clients for a region. It ignores the user's
// AWS environment, profile, instance metadata and proxy, and its clients connect to
// loopback only.
func (s *Session) AWSConfig(region string) aws.Config {
	key := aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey, Source: "rehearsal", AccountID: s.AccountID}
	return aws.Config{
		Region:       region,
		BaseEndpoint: aws.String(s.Endpoint),
		Credentials:  aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return key, nil }),
		HTTPClient:   loopbackClient,
		AppID:        "rehearsal",
	}
}

// loopbackClient connects only to loopback.
var loopbackClient = &http.Client{Transport: &http.Transport{
	DialContext:         dialLoopback,
	MaxIdleConnsPerHost: 32,
	IdleConnTimeout:     10 * time.Second,
}}

// ErrNotLoopback is returned by clients of a rehearsal for requests that would leave
// the machine.
var ErrNotLoopback = errors.New("a rehearsal connects only to loopback")

func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("connecting to %s: %w", address, ErrNotLoopback)
	}
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
}

// Environ returns the variables that point the AWS CLI and other SDKs at the
// rehearsal, as NAME=value. A variable with an empty value must be unset.
func (s *Session) Environ() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.Endpoint,
		"AWS_ACCESS_KEY_ID=" + s.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + s.SecretKey,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"NO_PROXY=127.0.0.1",
		"no_proxy=127.0.0.1", // some clients prefer the lower-case name
		"AWS_SESSION_TOKEN=", "AWS_PROFILE=", "AWS_DEFAULT_PROFILE=", "AWS_ENDPOINT_URL_EC2=", "AWS_ENDPOINT_URL_STS=",
		"AWS_ENDPOINT_URL_S3=", "AWS_ENDPOINT_URL_SSM=", "AWS_ENDPOINT_URL_KMS=",
		"AWS_ENDPOINT_URL_CLOUDFORMATION=", "AWS_ENDPOINT_URL_CLOUDWATCH=", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=",
	}
}

// Shell returns the command that lets the AWS CLI in a shell use the rehearsal with a
// state folder.
func Shell(stateDir string) string {
	return `eval "$(packer-plugin-ethminer rehearsal-aws env -state ` + shellquote.Word(stateDir) + `)"`
}

// Inventory returns the existing resources by region.
func (s *Session) Inventory(ctx context.Context) (map[string][]ec2.Resource, error) {
	var out map[string][]ec2.Resource
	return out, s.request(ctx, "GET", "inventory", nil, &out)
}

// Calls returns the number of calls by region and action.
func (s *Session) Calls(ctx context.Context) (map[string]map[string]int, error) {
	var out map[string]map[string]int
	return out, s.request(ctx, "GET", "calls", nil, &out)
}

// AddFault makes calls or copies fail.
func (s *Session) AddFault(ctx context.Context, f Fault) error {
	return s.request(ctx, "POST", "faults", f, nil)
}

// ClearFaults removes all faults of calls.
func (s *Session) ClearFaults(ctx context.Context) error {
	return s.request(ctx, "DELETE", "faults", nil, nil)
}

// healthy reports whether the server responds with this session's identity.
func (s *Session) healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var now Session
	return s.Endpoint != "" && s.request(ctx, "GET", "session", nil, &now) == nil && now.PID == s.PID
}

// request sends one control request.
func (s *Session) request(ctx context.Context, method, what string, body, into any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.Endpoint+controlPath+what, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	req.Header.Set(secretHeader, s.SecretKey)
	resp, err := loopbackClient.Do(req)
	if err != nil {
		return fmt.Errorf("rehearsal request %s: %w", what, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("rehearsal request %s: %w", what, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("rehearsal request %s: %s: %s", what, resp.Status, strings.TrimSpace(string(text)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
