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
)

// Session is how one reaches a running rehearsal. It is what the state
// folder's server.json holds.
type Session struct {
	Endpoint  string `json:"endpoint"` // of every service, such as http://127.0.0.1:34567
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
	AccountID string `json:"account_id"`
	CallerIP  string `json:"caller_ip"`
	SSHPort   int    `json:"ssh_port"` // of every instance; 0 where instances are only names
	Instance  string `json:"instance"` // Sandbox or NoInstance
	Latency   string `json:"latency"`
	PID       int    `json:"pid"` // of the server

	Policy *policy.Document `json:"policy,omitempty"` // what the caller may do; nil is everything
}

// AWSConfig returns the configuration of clients for a region. It has nothing
// of the user's AWS environment, profile, instance metadata or proxy, and its
// clients refuse to reach anything but loopback.
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

// loopbackClient reaches this machine only.
var loopbackClient = &http.Client{Transport: &http.Transport{
	DialContext:         dialLoopback,
	MaxIdleConnsPerHost: 32,
	IdleConnTimeout:     10 * time.Second,
}}

// ErrNotLoopback is returned by clients of a rehearsal that were about to
// leave the machine.
var ErrNotLoopback = errors.New("a rehearsal reaches loopback only")

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
// rehearsal, as NAME=value. A value that is empty means that the variable must
// not be set.
func (s *Session) Environ() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.Endpoint,
		"AWS_ACCESS_KEY_ID=" + s.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + s.SecretKey,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"NO_PROXY=127.0.0.1",
		"no_proxy=127.0.0.1", // some clients read this spelling first
		"AWS_SESSION_TOKEN=", "AWS_PROFILE=", "AWS_DEFAULT_PROFILE=", "AWS_ENDPOINT_URL_EC2=", "AWS_ENDPOINT_URL_STS=",
		"AWS_ENDPOINT_URL_S3=", "AWS_ENDPOINT_URL_SSM=", "AWS_ENDPOINT_URL_KMS=",
		"AWS_ENDPOINT_URL_CLOUDFORMATION=", "AWS_ENDPOINT_URL_CLOUDWATCH=", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=",
	}
}

// Inventory returns what has been made and not removed, by region.
func (s *Session) Inventory(ctx context.Context) (map[string][]ec2.Resource, error) {
	var out map[string][]ec2.Resource
	return out, s.ask(ctx, "GET", "inventory", nil, &out)
}

// Calls returns how often each action was called, by region, then action.
func (s *Session) Calls(ctx context.Context) (map[string]map[string]int, error) {
	var out map[string]map[string]int
	return out, s.ask(ctx, "GET", "calls", nil, &out)
}

// AddFault makes calls or copies fail.
func (s *Session) AddFault(ctx context.Context, f Fault) error {
	return s.ask(ctx, "POST", "faults", f, nil)
}

// ClearFaults disarms all faults of calls.
func (s *Session) ClearFaults(ctx context.Context) error {
	return s.ask(ctx, "DELETE", "faults", nil, nil)
}

// healthy says whether the server answers as the one of this session.
func (s *Session) healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var now Session
	return s.Endpoint != "" && s.ask(ctx, "GET", "session", nil, &now) == nil && now.PID == s.PID
}

// ask does one request on the control path.
func (s *Session) ask(ctx context.Context, method, what string, body, into any) error {
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
		return fmt.Errorf("asking the rehearsal for %s: %w", what, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("asking the rehearsal for %s: %w", what, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking the rehearsal for %s: %s: %s", what, resp.Status, strings.TrimSpace(string(text)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
