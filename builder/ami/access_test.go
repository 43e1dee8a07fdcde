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
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// fakeAWS is an endpoint that implements credentials and regions, and records
// all requests.
type fakeAWS struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
	answer   func(request) (status int, body string) // nil, or status 0: respond as AWS does
}

type request struct {
	action, key, token, region string
	form                       url.Values
}

const aws403 = `<Response><Errors><Error><Code>%[1]s</Code><Message>%[2]s</Message></Error></Errors></Response>`

func (c *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	credential, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="), ",")
	scope := append(strings.Split(credential, "/"), "", "", "") // key, day, region, service
	a := request{r.Form.Get("Action"), scope[0], r.Header.Get("X-Amz-Security-Token"), scope[2], r.Form}
	c.mu.Lock()
	c.requests = append(c.requests, a)
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

// calls returns the recorded requests of an action.
func (c *fakeAWS) calls(action string) (found []request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.requests {
		if a.action == action {
			found = append(found, a)
		}
	}
	return found
}

// newFakeAWS starts an endpoint that receives all calls, and removes the machine's
// credentials from the environment.
func newFakeAWS(t *testing.T) *fakeAWS {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // restored afterwards
			_ = os.Unsetenv(name)
		}
	}
	c := &fakeAWS{}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_ENDPOINT_URL", c.URL)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	_ = os.Unsetenv("AWS_SHARED_CREDENTIALS_FILE")
	return c
}

// connect connects with the configuration and requests EC2's regions.
func (c *fakeAWS) connect(t *testing.T, config map[string]any) error {
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
	clients, err := connectClients(t.Context(), &b.config, packersdk.TestUi(t))
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

// secretKey is part of no other word, because Packer redacts it in all output.
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
			c := newFakeAWS(t)
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			if err := c.connect(t, test.config); err != nil {
				t.Fatal(err)
			}
			got := c.calls("DescribeRegions")
			if len(got) != 1 || got[0].key != test.key || got[0].token != test.token {
				t.Errorf("got EC2 request %+v, want key %q and token %q", got, test.key, test.token)
			}
		})
	}
}

func TestAssumeRole(t *testing.T) {
	c := newFakeAWS(t)
	err := c.connect(t, map[string]any{"access_key": "AKIAKEY", "secret_key": secretKey, "assume_role": map[string]any{
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
			t.Errorf("AssumeRole %s: got %q, want %q", name, got, want)
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
			c := newFakeAWS(t)
			t.Setenv("AWS_REGION", "eu-west-1")
			if err := c.connect(t, keys(map[string]any{"region": given})); err != nil {
				t.Fatal(err)
			}
			if got := c.calls("DescribeRegions")[0].region; got != want {
				t.Errorf("region = %q: got an EC2 request in %q, want %q", given, got, want)
			}
		}
	})
	t.Run("skip_credential_validation", func(t *testing.T) {
		for skip, want := range map[bool]int{false: 1, true: 0} {
			c := newFakeAWS(t)
			if err := c.connect(t, keys(map[string]any{"skip_credential_validation": skip})); err != nil {
				t.Fatal(err)
			}
			if got := len(c.calls("GetCallerIdentity")); got != want {
				t.Errorf("skip %v: got %d STS requests, want %d", skip, got, want)
			}
		}
	})
	t.Run("max_retries", func(t *testing.T) {
		c := newFakeAWS(t)
		c.answer = func(a request) (int, string) {
			if a.action == "DescribeRegions" {
				return http.StatusInternalServerError, fmt.Sprintf(aws403, "InternalError", "later")
			}
			return 0, ""
		}
		if err := c.connect(t, keys(map[string]any{"max_retries": 2})); err == nil {
			t.Error("got no error, want EC2's error")
		}
		if got := len(c.calls("DescribeRegions")); got != 2 {
			t.Errorf("got %d EC2 requests, want 2", got)
		}
	})
	t.Run("custom_endpoint_ec2", func(t *testing.T) {
		c, other := newFakeAWS(t), newFakeAWS(t)
		t.Setenv("AWS_ENDPOINT_URL", c.URL)
		if err := c.connect(t, keys(map[string]any{"custom_endpoint_ec2": other.URL})); err != nil {
			t.Fatal(err)
		}
		if here, there := len(c.calls("DescribeRegions")), len(other.calls("DescribeRegions")); here != 0 || there != 1 {
			t.Errorf("got %d requests at the other endpoint and %d at this one, want 1 and 0", there, here)
		}
	})
	t.Run("insecure_skip_tls_verify", func(t *testing.T) {
		for _, insecure := range []bool{false, true} {
			c := newFakeAWS(t)
			secure := httptest.NewTLSServer(c)
			defer secure.Close()
			t.Setenv("AWS_ENDPOINT_URL", secure.URL)
			err := c.connect(t, keys(map[string]any{"insecure_skip_tls_verify": insecure, "max_retries": 1}))
			if (err == nil) != insecure {
				t.Errorf("insecure_skip_tls_verify = %v: %v", insecure, err)
			}
		}
	})
	t.Run("skip_metadata_api_check", func(t *testing.T) {
		for skip, disabled := range map[bool]string{true: "true", false: "false"} {
			c := newFakeAWS(t)
			if err := c.connect(t, keys(map[string]any{"skip_metadata_api_check": skip})); err != nil {
				t.Fatal(err)
			}
			if got := os.Getenv("AWS_EC2_METADATA_DISABLED"); got != disabled { // where packer-plugin-amazon tells the SDK
				t.Errorf("skip_metadata_api_check = %v: got AWS_EC2_METADATA_DISABLED = %q, want %q", skip, got, disabled)
			}
		}
	})
	t.Run("decode_authorization_messages", func(t *testing.T) {
		for decode, want := range map[bool]string{false: "Encoded authorization failure message: abc-DEF_1", true: "Authorization failure message: explicit deny by policy p"} {
			c := newFakeAWS(t)
			c.answer = func(a request) (int, string) {
				if a.action == "DescribeRegions" {
					return http.StatusForbidden, fmt.Sprintf(aws403, "UnauthorizedOperation", "You are not authorized. Encoded authorization failure message: abc-DEF_1")
				}
				return 0, ""
			}
			err := c.connect(t, keys(map[string]any{"decode_authorization_messages": decode}))
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "UnauthorizedOperation") {
				t.Errorf("decode_authorization_messages = %v: got error %v, want %q", decode, err, want)
			}
			decoded := c.calls("DecodeAuthorizationMessage")
			if decode && (len(decoded) != 1 || decoded[0].form.Get("EncodedMessage") != "abc-DEF_1") {
				t.Errorf("got DecodeAuthorizationMessage requests %v", decoded)
			}
		}
	})
}

// TestVault: AWS does not recognize Vault's new credentials immediately.
func TestVault(t *testing.T) {
	c := newFakeAWS(t)
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/mine/sts/builder" || r.Header.Get("X-Vault-Token") != "root" {
			t.Errorf("got a Vault request for %s", r.URL.Path)
		}
		_, _ = fmt.Fprint(w, `{"data":{"access_key":"AKIAVAULT","secret_key":"zz-secret-zz","security_token":"vault-token"}}`)
	}))
	t.Cleanup(vault.Close)
	t.Setenv("VAULT_ADDR", vault.URL)
	t.Setenv("VAULT_TOKEN", "root")
	var unknown []string
	c.answer = func(a request) (int, string) {
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
	err := c.connect(t, map[string]any{"vault_aws_engine": map[string]any{"name": "builder", "engine_name": "mine", "role_arn": "arn:aws:iam::123456789012:role/r", "ttl": "900s"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(unknown) != 2 {
		t.Errorf("got refused requests %v, want both", unknown)
	}
	last := c.requests[len(c.requests)-1]
	if last.key != "AKIAVAULT" || last.token != "vault-token" {
		t.Errorf("got EC2 request %+v, want Vault's key", last)
	}
}

// TestCredentialErrors: an error names the failed source, its option and AWS's reason.
func TestCredentialErrors(t *testing.T) {
	const denied = "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/baker"
	refuse := func(action, code, message string) func(request) (int, string) {
		return func(a request) (int, string) {
			if a.action != action {
				return 0, ""
			}
			return http.StatusForbidden, fmt.Sprintf("<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", code, message)
		}
	}
	keys := map[string]any{"access_key": "AKIAKEY", "secret_key": secretKey}
	role := map[string]any{"access_key": "AKIAKEY", "secret_key": secretKey, "assume_role": map[string]any{
		"role_arn": "arn:aws:iam::123456789012:role/baker", "session_name": "bake", "external_id": "1234"}}
	profiles := write(t, "config", "[profile lead]\nrole_arn = arn:aws:iam::123456789012:role/lead\nsource_profile = base\nregion = us-east-1\n"+
		"[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = zz-secret-zz\n"+
		"[profile tool]\ncredential_process = /bin/sh -c 'echo no token here >&2; exit 3'\n"+
		"[profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Baker\n[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\n")
	for name, test := range map[string]struct {
		config map[string]any
		env    map[string]string
		answer func(request) (int, string)
		want   []string
	}{
		"a role": {role, nil, refuse("AssumeRole", "AccessDenied", denied),
			[]string{"assume_role: assuming arn:aws:iam::123456789012:role/baker with external_id: sts:AssumeRole: AccessDenied: " + denied, "trust policy"}},
		"a session that exceeds the maximum": {role, nil, refuse("AssumeRole", "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."),
			[]string{"role/baker", "ValidationError: The requested DurationSeconds exceeds"}},
		"keys": {keys, nil, refuse("GetCallerIdentity", "InvalidClientTokenId", "The security token included in the request is invalid."),
			[]string{"access_key: validating it: sts:GetCallerIdentity: InvalidClientTokenId: The security token"}},
		"an expired token": {keys, nil, refuse("GetCallerIdentity", "ExpiredToken", "The security token included in the request is expired"), []string{"ExpiredToken: "}},
		"a web identity": {nil, map[string]string{"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/web", "AWS_WEB_IDENTITY_TOKEN_FILE": write(t, "token", "eyJ0")},
			refuse("AssumeRoleWithWebIdentity", "InvalidIdentityToken", "No OpenIDConnect provider found in your account"),
			[]string{"AWS_WEB_IDENTITY_TOKEN_FILE: assuming arn:aws:iam::123456789012:role/web", "sts:AssumeRoleWithWebIdentity: InvalidIdentityToken: No OpenIDConnect provider"}},
		"a profile with a role": {map[string]any{"profile": "lead"}, map[string]string{"AWS_CONFIG_FILE": profiles}, refuse("AssumeRole", "AccessDenied", "no trust"),
			[]string{`profile: loading the credentials of "lead": sts:AssumeRole: AccessDenied: no trust`}},
		"a profile that is missing": {map[string]any{"profile": "lost"}, map[string]string{"AWS_CONFIG_FILE": profiles}, nil,
			[]string{`profile: loading the credentials of "lost"`, `no profile "lost" in the shared configuration files`}},
		"a process":      {map[string]any{"profile": "tool"}, map[string]string{"AWS_CONFIG_FILE": profiles}, nil, []string{`"tool"`, "exit status 3"}},
		"single sign-on": {map[string]any{"profile": "sso"}, map[string]string{"AWS_CONFIG_FILE": profiles}, nil, []string{`"sso"`, "SSO"}},
		"the region": {map[string]any{"access_key": "AKIAKEY", "secret_key": secretKey, "region": "eu-central-9"}, nil, refuse("GetCallerIdentity", "InvalidClientTokenId", "invalid"),
			[]string{`the region "eu-central-9" is unknown; did you mean eu-central-1 or eu-central-2?`}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFakeAWS(t)
			c.answer = test.answer
			t.Setenv("HOME", t.TempDir())
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			err := c.connect(t, test.config)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got error without %q:\n%v", want, err)
				}
			}
			if err != nil && strings.Contains(err.Error(), secretKey) {
				t.Error("the error contains the secret key")
			}
		})
	}
}

// AWS_MAX_ATTEMPTS is the number of attempts of a request, as in the SDK, and not of
// polling as in amazon-ebs. max_retries overrides it.
func TestMaxAttempts(t *testing.T) {
	for _, test := range []struct{ variable, option, want int }{{0, 0, 10}, {5, 0, 5}, {5, 4, 4}} {
		c := newFakeAWS(t)
		if test.variable > 0 {
			t.Setenv("AWS_MAX_ATTEMPTS", fmt.Sprint(test.variable))
		}
		config := map[string]any{"region": "us-east-1", "access_key": "AKIAKEY", "secret_key": secretKey}
		if test.option > 0 {
			config["max_retries"] = test.option
		}
		var b Builder
		if _, _, err := b.Prepare(config); err != nil {
			t.Fatal(err)
		}
		clients, err := connectClients(t.Context(), &b.config, packersdk.TestUi(t))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		if _, err := clients.EC2("us-east-1").DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{}, func(o *ec2.Options) { got = o.Retryer.MaxAttempts() }); err != nil {
			t.Error(err)
		}
		if got != test.want || len(c.calls("DescribeRegions")) != 1 {
			t.Errorf("AWS_MAX_ATTEMPTS %d, max_retries %d: at most %d attempts, want %d", test.variable, test.option, got, test.want)
		}
		if wait := b.config.Waiter(); wait.Timeout != 2*time.Hour {
			t.Errorf("AWS_MAX_ATTEMPTS limits the polling to %s", wait.Timeout)
		}
	}
}
