// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package imds is the metadata service of a rehearsal's instances, versions 1 and 2
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html).
package imds

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Address is the address of the service in every instance.
const Address = "169.254.169.254"

// Instance is what the service tells an instance about itself.
type Instance struct {
	ID, ImageID, Type, Architecture string
	Account, Region, Zone           string
	Hostname, PrivateIP, PublicIP   string // PublicIP is empty in a private subnet
	MAC                             string
	SecurityGroups                  []string
	Spot                            bool
	Keys                            []byte            // the launch's public keys, as in authorized_keys; may be empty
	PushedKeys                      []byte            // keys that EC2 Instance Connect has pushed for User
	User                            string            // login user
	UserData                        []byte            // as decoded from RunInstances; may be empty
	Tags                            map[string]string // nil unless the instance lets its metadata have them
	Role                            *Role             // nil without an instance profile

	Disabled       bool // the service does not answer
	TokensRequired bool // version 2 only

	Interruption time.Time // when a spot instance ends; zero without a notice
	Rebalance    time.Time // when a rebalance was recommended; zero without one
}

// Role is the role of the instance profile, and its credentials.
type Role struct {
	Name, ProfileARN, ProfileID string
	AccessKey, SecretKey, Token string
	From, Until                 time.Time
}

const (
	tokenHeader = "X-aws-ec2-metadata-token"             //nolint:gosec // the name of a header
	ttlHeader   = "X-aws-ec2-metadata-token-ttl-seconds" //nolint:gosec // the name of a header
	longestTTL  = 6 * 60 * 60                            // seconds
)

// versions are the versions that clients ask for; all have the same content.
var versions = []string{"2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "2024-04-11", "latest"}

// Service answers the requests of one instance. It implements http.Handler.
type Service struct {
	describe func() Instance
	now      func() time.Time

	mu     sync.Mutex
	tokens map[string]time.Time // until when each is valid
}

// New returns the service of an instance, which describe describes at each request.
func New(describe func() Instance, now func() time.Time) *Service {
	return &Service{describe: describe, now: now, tokens: map[string]time.Time{}}
}

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i := s.describe()
	w.Header().Set("Server", "EC2ws")
	switch {
	case i.Disabled || r.Header.Get("X-Forwarded-For") != "":
		http.Error(w, "", http.StatusForbidden)
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		s.issue(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "", http.StatusMethodNotAllowed)
	case !s.allowed(r, i.TokensRequired):
		http.Error(w, "", http.StatusUnauthorized)
	default:
		content, ok := lookUp(i, s.now(), r.URL.Path)
		if !ok {
			http.Error(w, "", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(content) // the instance has gone
	}
}

// issue issues a token.
func (s *Service) issue(w http.ResponseWriter, r *http.Request) {
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || ttl < 1 || ttl > longestTTL {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	token := rand.Text()
	s.mu.Lock()
	maps.DeleteFunc(s.tokens, func(_ string, until time.Time) bool { return until.Before(s.now()) })
	s.tokens[token] = s.now().Add(time.Duration(ttl) * time.Second)
	s.mu.Unlock()
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	_, _ = fmt.Fprint(w, token)
}

// allowed reports whether a request has a valid token, or needs none.
func (s *Service) allowed(r *http.Request, required bool) bool {
	token := r.Header.Get(tokenHeader)
	if token == "" {
		return !required
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[token].After(s.now())
}

// lookUp returns the content of a path: a value, or the names in a folder.
func lookUp(i Instance, now time.Time, name string) ([]byte, bool) {
	version, rest, _ := strings.Cut(strings.Trim(name, "/"), "/")
	if version == "" {
		return []byte(strings.Join(versions, "\n")), true
	}
	if !slices.Contains(versions, version) {
		return nil, false
	}
	values := tree(i, now)
	if content, ok := values[rest]; ok {
		return content, true
	}
	folder := ""
	if rest != "" {
		folder = rest + "/"
	}
	names := map[string]bool{}
	for file := range values {
		if below, ok := strings.CutPrefix(file, folder); ok {
			first, _, deeper := strings.Cut(below, "/")
			if deeper {
				first += "/"
			}
			names[first] = true
		}
	}
	if len(names) == 0 {
		return nil, false
	}
	if rest == "meta-data/public-keys" { // its folders are listed with the names of the keys
		return []byte("0=" + cmp.Or(keyName(i.Keys), "key")), true
	}
	return []byte(strings.Join(slices.Sorted(maps.Keys(names)), "\n")), true
}

// keyName returns the comment of the first key.
func keyName(keys []byte) string {
	line, _, _ := strings.Cut(string(keys), "\n")
	if fields := strings.Fields(line); len(fields) > 2 {
		return fields[2]
	}
	return ""
}

// tree returns all values by path, without the version.
func tree(i Instance, now time.Time) map[string][]byte {
	out := map[string][]byte{}
	set := func(name string, value string) {
		if value != "" {
			out[name] = []byte(value)
		}
	}
	meta := func(name, value string) { set(path.Join("meta-data", name), value) }

	meta("ami-id", i.ImageID)
	meta("ami-launch-index", "0")
	meta("ami-manifest-path", "(unknown)")
	meta("hostname", i.Hostname)
	meta("instance-action", "none")
	meta("instance-id", i.ID)
	meta("instance-life-cycle", map[bool]string{false: "on-demand", true: "spot"}[i.Spot])
	meta("instance-type", i.Type)
	meta("local-hostname", i.Hostname)
	meta("local-ipv4", i.PrivateIP)
	meta("mac", i.MAC)
	meta("profile", "default-hvm")
	meta("public-ipv4", i.PublicIP)
	meta("placement/availability-zone", i.Zone)
	meta("placement/region", i.Region)
	meta("reservation-id", "r-"+strings.TrimPrefix(i.ID, "i-"))
	meta("security-groups", strings.Join(i.SecurityGroups, "\n"))
	meta("services/domain", "amazonaws.com")
	meta("services/partition", "aws")
	card := "network/interfaces/macs/" + i.MAC + "/"
	meta(card+"device-number", "0")
	meta(card+"local-hostname", i.Hostname)
	meta(card+"local-ipv4s", i.PrivateIP)
	meta(card+"mac", i.MAC)
	meta(card+"public-ipv4s", i.PublicIP)
	meta("public-keys/0/openssh-key", strings.TrimSpace(string(i.Keys)))
	if i.User != "" {
		meta("managed-ssh-keys/active-keys/"+i.User, strings.TrimSpace(string(i.PushedKeys)))
	}
	for name, value := range i.Tags {
		if !strings.Contains(name, "/") { // EC2 refuses such keys where the metadata has tags
			meta("tags/instance/"+name, value)
		}
	}
	if !i.Interruption.IsZero() {
		at := i.Interruption.UTC().Format(time.RFC3339)
		meta("spot/instance-action", document(map[string]any{"action": "terminate", "time": at}))
		meta("spot/termination-time", at)
	}
	if !i.Rebalance.IsZero() {
		meta("events/recommendations/rebalance", document(map[string]any{"noticeTime": i.Rebalance.UTC().Format(time.RFC3339)}))
	}
	if r := i.Role; r != nil {
		stamp := r.From.UTC().Format(time.RFC3339)
		meta("iam/info", document(map[string]any{"Code": "Success", "LastUpdated": stamp, "InstanceProfileArn": r.ProfileARN, "InstanceProfileId": r.ProfileID}))
		meta("iam/security-credentials/"+r.Name, document(map[string]any{
			"Code": "Success", "LastUpdated": stamp, "Type": "AWS-HMAC", "AccessKeyId": r.AccessKey, "SecretAccessKey": r.SecretKey,
			"Token": r.Token, "Expiration": r.Until.UTC().Format(time.RFC3339),
		}))
	}
	set("user-data", string(i.UserData))
	set("dynamic/instance-identity/document", document(map[string]any{
		"accountId": i.Account, "architecture": i.Architecture, "availabilityZone": i.Zone, "imageId": i.ImageID, "instanceId": i.ID,
		"instanceType": i.Type, "pendingTime": now.UTC().Format(time.RFC3339), "privateIp": i.PrivateIP, "region": i.Region, "version": "2017-09-30",
	}))
	return out
}

// document returns indented JSON, as the service writes it.
func document(values map[string]any) string {
	text, err := json.MarshalIndent(values, "", "  ")
	if err != nil {
		panic(err) // strings only
	}
	return string(text)
}
