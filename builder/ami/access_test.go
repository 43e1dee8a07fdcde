// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// lookalike is an AWS that knows who asks, and of regions, and writes down how it
// was asked.
type lookalike struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []asked
	answer func(asked) (status int, body string) // nil, or 0: as AWS does
}

type asked struct {
	action, key, token, region string
	form                       url.Values
}

const aws403 = `<Response><Errors><Error><Code>%[1]s</Code><Message>%[2]s</Message></Error></Errors></Response>`

func (c *lookalike) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	credential, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="), ",")
	scope := append(strings.Split(credential, "/"), "", "", "") // key, day, region, service
	a := asked{r.Form.Get("Action"), scope[0], r.Header.Get("X-Amz-Security-Token"), scope[2], r.Form}
	c.mu.Lock()
	c.asked = append(c.asked, a)
	c.mu.Unlock()
	if c.answer != nil {
		if status, body := c.answer(a); status != 0 {
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, body)
			return
		}
	}
	body := map[string]string{
		"GetCallerIdentity": `<R><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/u</Arn><UserId>A</UserId><Account>123456789012</Account></GetCallerIdentityResult></R>`,
		"AssumeRole": `<R><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>role-token</SessionToken>` +
			`<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></R>`,
		"DecodeAuthorizationMessage": `<R><DecodeAuthorizationMessageResult><DecodedMessage>explicit deny by policy p</DecodedMessage></DecodeAuthorizationMessageResult></R>`,
		"DescribeRegions":            `<R><regionInfo><item><regionName>us-east-1</regionName></item></regionInfo></R>`,
	}[a.action]
	_, _ = fmt.Fprint(w, body)
}

// calls are the requests of an action.
func (c *lookalike) calls(action string) (found []asked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.asked {
		if a.action == action {
			found = append(found, a)
		}
	}
	return found
}

// newLookalike is where all calls go, with no credentials of the machine's.
func newLookalike(t *testing.T) *lookalike {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // restored afterwards
			_ = os.Unsetenv(name)
		}
	}
	c := &lookalike{}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_ENDPOINT_URL", c.URL)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "") // what a build sets is gone afterwards
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	_ = os.Unsetenv("AWS_SHARED_CREDENTIALS_FILE")
	return c
}

// ask connects as the configuration says, and asks EC2 for its regions.
func (c *lookalike) ask(t *testing.T, config map[string]any) error {
	t.Helper()
	raw := map[string]any{"skip_metadata_api_check": true}
	for k, v := range config {
		raw[k] = v
	}
	if _, given := config["region"]; !given {
		raw["region"] = "us-east-1"
	}
	var b Builder
	if _, _, err := b.Prepare(raw); err != nil {
		t.Fatal(err)
	}
	clients, err := b.config.connect(t.Context(), packersdk.TestUi(t))
	if err != nil {
		return err
	}
	_, err = clients.EC2(clients.Region()).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{})
	return err
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// secretKey is no part of a word: what a build says has it struck out.
const secretKey = "zz-secret-zz"

const twoProfiles = "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = zz-secret-zz\n[dev]\naws_access_key_id = AKIADEV\naws_secret_access_key = zz-secret-zz\naws_session_token = dev-token\n"

func TestCredentials(t *testing.T) {
	keys := map[string]any{"access_key": "AKIAKEY", "secret_key": secretKey}
	with := func(more map[string]any) map[string]any {
		all := map[string]any{}
		for _, m := range []map[string]any{keys, more} {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	for name, test := range map[string]struct {
		config     map[string]any
		env        map[string]string
		key, token string
	}{
		"access_key and secret_key":           {keys, nil, "AKIAKEY", ""},
		"token":                               {with(map[string]any{"token": "zz-token-zz"}), nil, "AKIAKEY", "zz-token-zz"},
		"the environment":                     {nil, map[string]string{"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": "env-token"}, "AKIAENV", "env-token"},
		"profile":                             {map[string]any{"profile": "dev"}, map[string]string{"AWS_SHARED_CREDENTIALS_FILE": write(t, "c", twoProfiles)}, "AKIADEV", "dev-token"},
		"shared_credentials_file":             {map[string]any{"shared_credentials_file": write(t, "c", twoProfiles)}, nil, "AKIADEFAULT", ""},
		"shared_credentials_file and profile": {map[string]any{"shared_credentials_file": write(t, "c", twoProfiles), "profile": "dev"}, nil, "AKIADEV", "dev-token"},
		"assume_role": {with(map[string]any{"assume_role": map[string]any{"role_arn": "arn:aws:iam::123456789012:role/r", "session_name": "n"}}), nil,
			"ASIAROLE", "role-token"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newLookalike(t)
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			if err := c.ask(t, test.config); err != nil {
				t.Fatal(err)
			}
			got := c.calls("DescribeRegions")
			if len(got) != 1 || got[0].key != test.key || got[0].token != test.token {
				t.Errorf("EC2 was asked by %+v, want key %q and token %q", got, test.key, test.token)
			}
		})
	}
}

func TestAssumeRole(t *testing.T) {
	c := newLookalike(t)
	err := c.ask(t, map[string]any{"access_key": "AKIAKEY", "secret_key": secretKey, "assume_role": map[string]any{
		"role_arn": "arn:aws:iam::123456789012:role/r", "session_name": "n", "external_id": "x", "duration_seconds": 900,
		"policy": `{"Version":"2012-10-17"}`, "policy_arns": []string{"arn:aws:iam::aws:policy/P"},
		"tags": map[string]string{"Team": "mining"}, "transitive_tag_keys": []string{"Team"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	form := c.calls("AssumeRole")[0].form
	for name, want := range map[string]string{
		"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "n", "ExternalId": "x", "DurationSeconds": "900", "Policy": `{"Version":"2012-10-17"}`,
		"PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/P", "Tags.member.1.Key": "Team", "Tags.member.1.Value": "mining", "TransitiveTagKeys.member.1": "Team",
	} {
		if got := form.Get(name); got != want {
			t.Errorf("AssumeRole %s is %q, want %q", name, got, want)
		}
	}
}

func TestAccessOptions(t *testing.T) {
	keys := func(more map[string]any) map[string]any {
		more["access_key"], more["secret_key"] = "AKIAKEY", secretKey
		return more
	}
	t.Run("region", func(t *testing.T) {
		for given, want := range map[string]string{"eu-west-3": "eu-west-3", "": "eu-west-1"} {
			c := newLookalike(t)
			t.Setenv("AWS_REGION", "eu-west-1")
			if err := c.ask(t, keys(map[string]any{"region": given})); err != nil {
				t.Fatal(err)
			}
			if got := c.calls("DescribeRegions")[0].region; got != want {
				t.Errorf("region = %q: EC2 was asked in %q, want %q", given, got, want)
			}
		}
	})
	t.Run("skip_credential_validation", func(t *testing.T) {
		for skip, want := range map[bool]int{false: 1, true: 0} {
			c := newLookalike(t)
			if err := c.ask(t, keys(map[string]any{"skip_credential_validation": skip})); err != nil {
				t.Fatal(err)
			}
			if got := len(c.calls("GetCallerIdentity")); got != want {
				t.Errorf("skip %v: STS was asked %d times, want %d", skip, got, want)
			}
		}
	})
	t.Run("max_retries", func(t *testing.T) {
		c := newLookalike(t)
		c.answer = func(a asked) (int, string) {
			if a.action == "DescribeRegions" {
				return http.StatusInternalServerError, fmt.Sprintf(aws403, "InternalError", "later")
			}
			return 0, ""
		}
		if err := c.ask(t, keys(map[string]any{"max_retries": 2})); err == nil {
			t.Error("an error of EC2's was swallowed")
		}
		if got := len(c.calls("DescribeRegions")); got != 2 {
			t.Errorf("EC2 was asked %d times, want 2", got)
		}
	})
	t.Run("custom_endpoint_ec2", func(t *testing.T) {
		c, other := newLookalike(t), newLookalike(t)
		t.Setenv("AWS_ENDPOINT_URL", c.URL)
		if err := c.ask(t, keys(map[string]any{"custom_endpoint_ec2": other.URL})); err != nil {
			t.Fatal(err)
		}
		if here, there := len(c.calls("DescribeRegions")), len(other.calls("DescribeRegions")); here != 0 || there != 1 {
			t.Errorf("EC2 was asked %d times at the other endpoint, %d times here; want 1 and 0", there, here)
		}
	})
	t.Run("insecure_skip_tls_verify", func(t *testing.T) {
		for _, insecure := range []bool{false, true} {
			c := newLookalike(t)
			secure := httptest.NewTLSServer(c)
			defer secure.Close()
			t.Setenv("AWS_ENDPOINT_URL", secure.URL)
			err := c.ask(t, keys(map[string]any{"insecure_skip_tls_verify": insecure, "max_retries": 1}))
			if (err == nil) != insecure {
				t.Errorf("insecure_skip_tls_verify = %v: %v", insecure, err)
			}
		}
	})
	t.Run("skip_metadata_api_check", func(t *testing.T) {
		for skip, disabled := range map[bool]string{true: "true", false: "false"} {
			c := newLookalike(t)
			if err := c.ask(t, keys(map[string]any{"skip_metadata_api_check": skip})); err != nil {
				t.Fatal(err)
			}
			if got := os.Getenv("AWS_EC2_METADATA_DISABLED"); got != disabled { // where packer-plugin-amazon tells the SDK
				t.Errorf("skip_metadata_api_check = %v: the metadata service is disabled = %q, want %q", skip, got, disabled)
			}
		}
	})
	t.Run("decode_authorization_messages", func(t *testing.T) {
		for decode, want := range map[bool]string{false: "Encoded authorization failure message: abc-DEF_1", true: "Authorization failure message: explicit deny by policy p"} {
			c := newLookalike(t)
			c.answer = func(a asked) (int, string) {
				if a.action == "DescribeRegions" {
					return http.StatusForbidden, fmt.Sprintf(aws403, "UnauthorizedOperation", "You are not authorized. Encoded authorization failure message: abc-DEF_1")
				}
				return 0, ""
			}
			err := c.ask(t, keys(map[string]any{"decode_authorization_messages": decode}))
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "UnauthorizedOperation") {
				t.Errorf("decode_authorization_messages = %v: the error is %v, want %q", decode, err, want)
			}
			asked := c.calls("DecodeAuthorizationMessage")
			if decode && (len(asked) != 1 || asked[0].form.Get("EncodedMessage") != "abc-DEF_1") {
				t.Errorf("STS was asked to decode %v", asked)
			}
		}
	})
}

// Vault's credentials are new, and AWS does not know them at once.
func TestVault(t *testing.T) {
	c := newLookalike(t)
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/mine/sts/builder" || r.Header.Get("X-Vault-Token") != "root" {
			t.Errorf("Vault was asked for %s", r.URL.Path)
		}
		_, _ = fmt.Fprint(w, `{"data":{"access_key":"AKIAVAULT","secret_key":"zz-secret-zz","security_token":"vault-token"}}`)
	}))
	t.Cleanup(vault.Close)
	t.Setenv("VAULT_ADDR", vault.URL)
	t.Setenv("VAULT_TOKEN", "root")
	var unknown []string
	c.answer = func(a asked) (int, string) {
		for _, first := range []string{"GetCallerIdentity", "DescribeRegions"} {
			if a.action == first && !slices.Contains(unknown, first) {
				unknown = append(unknown, first)
				code := map[string]string{"GetCallerIdentity": "InvalidClientTokenId", "DescribeRegions": "AuthFailure"}[first]
				if first == "GetCallerIdentity" {
					return http.StatusForbidden, `<ErrorResponse><Error><Code>` + code + `</Code><Message>no such key</Message></Error></ErrorResponse>`
				}
				return http.StatusUnauthorized, fmt.Sprintf(aws403, code, "no such key")
			}
		}
		return 0, ""
	}
	err := c.ask(t, map[string]any{"vault_aws_engine": map[string]any{"name": "builder", "engine_name": "mine", "role_arn": "arn:aws:iam::123456789012:role/r", "ttl": "900s"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(unknown) != 2 {
		t.Errorf("refused were %v, want both", unknown)
	}
	last := c.asked[len(c.asked)-1]
	if last.key != "AKIAVAULT" || last.token != "vault-token" {
		t.Errorf("EC2 was asked by %+v, want Vault's key", last)
	}
}
