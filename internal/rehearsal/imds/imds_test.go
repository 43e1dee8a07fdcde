// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package imds

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"
)

// noon is the time of the tests' clock.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// full is an instance with every value.
func full() Instance {
	return Instance{
		ID: "i-0123456789abcdef0", ImageID: "ami-1", Type: "g4dn.xlarge", Architecture: "x86_64",
		Account: "123456789012", Region: "eu-central-1", Zone: "eu-central-1a",
		Hostname: "ip-10-0-9-1.eu-central-1.compute.internal", PrivateIP: "10.0.9.1", PublicIP: "203.0.113.7",
		MAC: "02:00:00:00:00:01", SecurityGroups: []string{"miners", "ssh"}, Spot: true,
		Keys: []byte("ssh-ed25519 AAAA1 laptop\n"), PushedKeys: []byte("ssh-ed25519 AAAA2\n"), User: "ubuntu",
		UserData: []byte("#!/bin/sh\n\x00\xff"), Tags: map[string]string{"Name": "miner", "a/b": "refused"},
		Role:         &Role{Name: "baker", ProfileARN: "arn:aws:iam::123456789012:instance-profile/p", ProfileID: "AIPA1", AccessKey: "ASIA1", SecretKey: "secret", Token: "session", From: noon, Until: noon.Add(6 * time.Hour)},
		Interruption: noon.Add(2 * time.Minute), Rebalance: noon.Add(-time.Minute),
	}
}

// bare is an instance with only what every instance has.
func bare() Instance {
	return Instance{ID: "i-0123456789abcdef0", ImageID: "ami-1", Type: "g4dn.xlarge", Region: "eu-central-1", Zone: "eu-central-1a", MAC: "02:00:00:00:00:01", PrivateIP: "10.0.9.1", User: "ubuntu"}
}

// ask sends a request, whose headers are pairs of a name and a value.
func ask(h http.Handler, method, path string, headers ...string) (int, string) {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// Each request has the status of EC2's service.
func TestStatus(t *testing.T) {
	required, disabled := bare(), full()
	required.TokensRequired, disabled.Disabled = true, true
	for name, c := range map[string]struct {
		instance     Instance
		method, path string
		headers      []string
		want         int
	}{
		"token":                       {bare(), "PUT", "/latest/api/token", []string{ttlHeader, "60"}, 200},
		"token with the longest TTL":  {bare(), "PUT", "/latest/api/token", []string{ttlHeader, "21600"}, 200},
		"token without a TTL":         {bare(), "PUT", "/latest/api/token", nil, 400},
		"token with a TTL of 0":       {bare(), "PUT", "/latest/api/token", []string{ttlHeader, "0"}, 400},
		"token with a TTL too long":   {bare(), "PUT", "/latest/api/token", []string{ttlHeader, "21601"}, 400},
		"token with a TTL of letters": {bare(), "PUT", "/latest/api/token", []string{ttlHeader, "1h"}, 400},
		"token through a proxy":       {bare(), "PUT", "/latest/api/token", []string{ttlHeader, "60", "X-Forwarded-For", "10.0.0.9"}, 403},
		"version 1":                   {bare(), "GET", "/latest/meta-data/instance-id", nil, 200},
		"HEAD":                        {bare(), "HEAD", "/latest/meta-data/instance-id", nil, 200},
		"version 1 refused":           {required, "GET", "/latest/meta-data/instance-id", nil, 401},
		"invalid token":               {bare(), "GET", "/latest/meta-data/instance-id", []string{tokenHeader, "x"}, 401},
		"through a proxy":             {bare(), "GET", "/latest/meta-data/instance-id", []string{"X-Forwarded-For", "10.0.0.9"}, 403},
		"disabled":                    {disabled, "GET", "/latest/meta-data/instance-id", nil, 403},
		"disabled token":              {disabled, "PUT", "/latest/api/token", []string{ttlHeader, "60"}, 403},
		"POST":                        {bare(), "POST", "/latest/meta-data/instance-id", nil, 405},
		"unknown version":             {bare(), "GET", "/1999-01-01/meta-data/", nil, 404},
		"unknown path":                {bare(), "GET", "/latest/meta-data/instance", nil, 404},
		"path below a value":          {bare(), "GET", "/latest/meta-data/instance-id/x", nil, 404},
		"no user data":                {bare(), "GET", "/latest/user-data", nil, 404},
		"no keys":                     {bare(), "GET", "/latest/meta-data/public-keys/", nil, 404},
		"no pushed keys":              {bare(), "GET", "/latest/meta-data/managed-ssh-keys/active-keys/ubuntu", nil, 404},
		"no public address":           {bare(), "GET", "/latest/meta-data/public-ipv4", nil, 404},
		"no interruption":             {bare(), "GET", "/latest/meta-data/spot/instance-action", nil, 404},
		"no termination":              {bare(), "GET", "/latest/meta-data/spot/termination-time", nil, 404},
		"no rebalance":                {bare(), "GET", "/latest/meta-data/events/recommendations/rebalance", nil, 404},
		"no role":                     {bare(), "GET", "/latest/meta-data/iam/security-credentials/", nil, 404},
		"no tags":                     {bare(), "GET", "/latest/meta-data/tags/instance", nil, 404},
		"tag with a slash":            {full(), "GET", "/latest/meta-data/tags/instance/a/b", nil, 404},
	} {
		s := New(func() Instance { return c.instance }, func() time.Time { return noon })
		if got, body := ask(s, c.method, c.path, c.headers...); got != c.want {
			t.Errorf("%s: got status %d, want %d: %s", name, got, c.want, body)
		} else if got != http.StatusOK && strings.TrimSpace(body) != "" {
			t.Errorf("%s: got content %q with status %d", name, body, got)
		}
	}
}

// Each path has the content of EC2's service, in every version.
func TestContent(t *testing.T) {
	s := New(full, func() time.Time { return noon })
	for path, want := range map[string]string{
		"/":                                          strings.Join(versions, "\n"),
		"/latest":                                    "dynamic/\nmeta-data/\nuser-data",
		"/latest/":                                   "dynamic/\nmeta-data/\nuser-data",
		"/latest/meta-data/placement":                "availability-zone\nregion",
		"/latest/meta-data/placement/":               "availability-zone\nregion",
		"/2009-04-04/meta-data/placement/":           "availability-zone\nregion",
		"/latest/meta-data/instance-id":              "i-0123456789abcdef0",
		"/latest/meta-data/instance-id/":             "i-0123456789abcdef0",
		"/latest/meta-data/security-groups":          "miners\nssh",
		"/latest/meta-data/public-ipv4":              "203.0.113.7",
		"/latest/meta-data/public-keys":              "0=laptop",
		"/latest/meta-data/public-keys/":             "0=laptop",
		"/latest/meta-data/public-keys/0":            "openssh-key",
		"/latest/meta-data/public-keys/0/":           "openssh-key",
		"/latest/user-data":                          "#!/bin/sh\n\x00\xff", // not changed, although it is not text
		"/latest/meta-data/tags/instance":            "Name",
		"/latest/meta-data/tags/instance/":           "Name",
		"/latest/meta-data/spot/":                    "instance-action\ntermination-time",
		"/latest/meta-data/network/interfaces/macs/": "02:00:00:00:00:01/",
		"/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/local-ipv4s": "10.0.9.1",
		"/latest/meta-data/public-keys/0/openssh-key":                             "ssh-ed25519 AAAA1 laptop",
		"/latest/meta-data/managed-ssh-keys/active-keys/ubuntu":                   "ssh-ed25519 AAAA2",
		"/latest/meta-data/tags/instance/Name":                                    "miner",
		"/latest/meta-data/placement/availability-zone":                           "eu-central-1a",
		"/latest/meta-data/instance-life-cycle":                                   "spot",
		"/latest/meta-data/spot/termination-time":                                 "2026-01-02T12:02:00Z",
		"/latest/meta-data/iam/security-credentials":                              "baker",
		"/latest/meta-data/iam/security-credentials/":                             "baker",
	} {
		if status, got := ask(s, "GET", path); status != http.StatusOK || got != want {
			t.Errorf("%s: got status %d and %q, want %q", path, status, got, want)
		}
	}
	if _, got := ask(New(bare, func() time.Time { return noon }), "GET", "/latest/meta-data/instance-life-cycle"); got != "on-demand" {
		t.Errorf("life cycle without a spot request: got %q", got)
	}
}

// A key without a comment is listed with a name, since cloud-init requires one.
func TestKeyWithoutComment(t *testing.T) {
	i := bare()
	i.Keys = []byte("ssh-ed25519 AAAA1\n")
	if _, got := ask(New(func() Instance { return i }, time.Now), "GET", "/latest/meta-data/public-keys/"); got != "0=key" {
		t.Errorf("got %q", got)
	}
}

// Documents are JSON objects with the fields of EC2's service.
func TestDocuments(t *testing.T) {
	s := New(full, func() time.Time { return noon })
	for path, want := range map[string]map[string]any{
		"/latest/meta-data/spot/instance-action":             {"action": "terminate", "time": "2026-01-02T12:02:00Z"},
		"/latest/meta-data/events/recommendations/rebalance": {"noticeTime": "2026-01-02T11:59:00Z"},
		"/latest/meta-data/iam/info": {
			"Code": "Success", "LastUpdated": "2026-01-02T12:00:00Z", "InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/p", "InstanceProfileId": "AIPA1",
		},
		"/latest/meta-data/iam/security-credentials/baker": {
			"Code": "Success", "LastUpdated": "2026-01-02T12:00:00Z", "Type": "AWS-HMAC", "AccessKeyId": "ASIA1", "SecretAccessKey": "secret",
			"Token": "session", "Expiration": "2026-01-02T18:00:00Z",
		},
		"/latest/dynamic/instance-identity/document": {
			"accountId": "123456789012", "architecture": "x86_64", "availabilityZone": "eu-central-1a", "imageId": "ami-1", "instanceId": "i-0123456789abcdef0",
			"instanceType": "g4dn.xlarge", "pendingTime": "2026-01-02T12:00:00Z", "privateIp": "10.0.9.1", "region": "eu-central-1", "version": "2017-09-30",
		},
	} {
		_, body := ask(s, "GET", path)
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %v: %q", path, err, body)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

// A token is valid for its TTL, and only for the instance that requested it.
func TestToken(t *testing.T) {
	now := noon
	required := func() Instance {
		i := bare()
		i.TokensRequired = true
		return i
	}
	s := New(required, func() time.Time { return now })
	status, token := ask(s, "PUT", "/latest/api/token", ttlHeader, "60")
	if status != http.StatusOK || token == "" {
		t.Fatalf("got status %d and token %q", status, token)
	}
	get := func(s *Service) int {
		status, _ := ask(s, "GET", "/latest/meta-data/instance-id", tokenHeader, token)
		return status
	}
	if got := get(New(required, func() time.Time { return now })); got != http.StatusUnauthorized {
		t.Errorf("token of another instance: got status %d", got)
	}
	now = noon.Add(59 * time.Second)
	if got := get(s); got != http.StatusOK {
		t.Errorf("before the end: got status %d", got)
	}
	now = noon.Add(60 * time.Second)
	if got := get(s); got != http.StatusUnauthorized {
		t.Errorf("after the end: got status %d", got)
	}
	if _, other := ask(s, "PUT", "/latest/api/token", ttlHeader, "60"); other == token {
		t.Error("two tokens are equal")
	}
}

// botocoreJudge reads an instance's credentials and region as every AWS SDK for Python
// does.
const botocoreJudge = `
import json, sys
from botocore.utils import InstanceMetadataFetcher, InstanceMetadataRegionFetcher
url = sys.argv[1] + "/"
role = InstanceMetadataFetcher(base_url=url, num_attempts=1, timeout=5, env={}).retrieve_iam_role_credentials()
role["region"] = InstanceMetadataRegionFetcher(base_url=url, num_attempts=1, timeout=5, env={}).retrieve_region()
print(json.dumps(role))
`

// botocore gets the credentials of the role and the region, with tokens required.
func TestBotocore(t *testing.T) {
	if out, err := exec.Command("python3", "-c", "import botocore").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: needs python3 with botocore: %v %s", err, out)
	}
	now := time.Now().Truncate(time.Second) // botocore extends credentials that end soon
	until := now.Add(6 * time.Hour)
	server := httptest.NewServer(New(func() Instance {
		i := full()
		i.TokensRequired, i.Role.From, i.Role.Until = true, now, until
		return i
	}, time.Now))
	defer server.Close()
	command := exec.Command("python3", "-c", botocoreJudge, server.URL)
	command.Env = append(os.Environ(), "no_proxy=*", "NO_PROXY=*")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := map[string]string{
		"role_name": "baker", "access_key": "ASIA1", "secret_key": "secret", "token": "session",
		"expiry_time": until.UTC().Format(time.RFC3339), "region": "eu-central-1",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
