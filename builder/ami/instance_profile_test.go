// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// withProfile makes a build create a temporary instance profile.
func withProfile() map[string]any {
	return map[string]any{"temporary_iam_instance_profile_policy_document": map[string]any{
		"Version": "2012-10-17", "Statement": []map[string]any{{"Effect": "Allow", "Action": []string{"s3:GetObject"}, "Resource": []string{"*"}}},
	}}
}

// fault replaces the responses to the nth requests of an action.
type fault struct {
	*world
	action string
	nths   []int
	answer func(r *http.Request) (*http.Response, error)

	seen atomic.Int32
}

func (f *fault) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	r.Body, _ = r.GetBody()
	if strings.HasPrefix(string(text), "Action="+f.action+"&") && slices.Contains(f.nths, int(f.seen.Add(1))) {
		return f.answer(r)
	}
	return f.world.RoundTrip(r)
}

func refuse(status int, code, message string) *http.Response {
	answer := httptest.NewRecorder()
	answer.WriteHeader(status)
	_, _ = fmt.Fprintf(answer, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, message)
	return answer.Result()
}

// TestTemporaryProfileFaults: a transient IAM failure neither fails the build nor leaves
// resources behind.
func TestTemporaryProfileFaults(t *testing.T) {
	for action, lasting := range map[string]bool{ // lasting: the build fails if every response is lost
		"CreateInstanceProfile": true, "CreateRole": true, "PutRolePolicy": false, "AddRoleToInstanceProfile": false,
	} {
		for name, test := range map[string]struct {
			nths  []int
			then  func(w *world, r *http.Request) (*http.Response, error)
			fails bool
			says  string
		}{
			"lost": {nths: []int{1}, then: func(w *world, r *http.Request) (*http.Response, error) {
				_, _ = w.RoundTrip(r)
				return nil, io.ErrUnexpectedEOF
			}},
			"response lost twice": {nths: []int{1, 2}, then: func(w *world, r *http.Request) (*http.Response, error) {
				_, _ = w.RoundTrip(r)
				return nil, io.ErrUnexpectedEOF
			}},
			"every response lost": {nths: []int{1, 2, 3}, fails: lasting, then: func(w *world, r *http.Request) (*http.Response, error) {
				_, _ = w.RoundTrip(r)
				return nil, io.ErrUnexpectedEOF
			}},
			"500 after success": {nths: []int{1}, then: func(w *world, r *http.Request) (*http.Response, error) {
				_, _ = w.RoundTrip(r)
				return refuse(500, "ServiceFailure", "something failed"), nil
			}},
			"duplicated in transit": {nths: []int{1}, then: func(w *world, r *http.Request) (*http.Response, error) {
				again := r.Clone(r.Context())
				again.Body, _ = r.GetBody()
				_, _ = w.RoundTrip(again)
				return w.RoundTrip(r)
			}},
			"concurrent modification": {nths: []int{1, 2}, then: func(*world, *http.Request) (*http.Response, error) {
				return refuse(409, "ConcurrentModification", "multiple requests"), nil
			}},
			"throttled": {nths: []int{1}, then: func(*world, *http.Request) (*http.Response, error) {
				return refuse(400, "Throttling", "Rate exceeded"), nil
			}},
			"refused": {nths: []int{1}, fails: true, says: "AccessDenied: not you", then: func(*world, *http.Request) (*http.Response, error) {
				return refuse(403, "AccessDenied", "not you"), nil
			}},
			"existing resource of another owner": {nths: []int{1}, fails: lasting, says: map[bool]string{true: "EntityAlreadyExists"}[lasting], then: func(*world, *http.Request) (*http.Response, error) {
				if !lasting {
					return nil, io.ErrUnexpectedEOF
				}
				return refuse(409, "EntityAlreadyExists", "it exists"), nil
			}},
		} {
			t.Run(action+" "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.transport = &fault{world: w, action: action, nths: test.nths, answer: func(r *http.Request) (*http.Response, error) { return test.then(w, r) }}
				_, err := w.build(t, t.Context(), withProfile())
				if (err != nil) != test.fails || err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("got error %v, want failure %t with %q\n%s", err, test.fails, test.says, w.ui.String())
				}
				if err != nil && !strings.Contains(err.Error(), "temporary_iam_instance_profile_policy_document: ") {
					t.Errorf("got error %v, want the option in it", err)
				}
				if left := w.aws.Inventory()[rehearsal.Global]; len(left) > 0 {
					t.Errorf("got leftover resources (error %v): %v, want none\n%s", err, left, w.ui.String())
				}
			})
		}
	}
}

// TestLeftoverProfileIsReported: each resource that could not be deleted is reported
// with the command that deletes it.
func TestLeftoverProfileIsReported(t *testing.T) {
	const endpoint = "aws --endpoint-url http://127.0.0.1 iam "
	for action, want := range map[string][]string{
		"RemoveRoleFromInstanceProfile": {endpoint + "remove-role-from-instance-profile --instance-profile-name packer-", endpoint + "delete-instance-profile --instance-profile-name packer-", endpoint + "delete-role --role-name packer-"},
		"DeleteInstanceProfile":         {endpoint + "delete-instance-profile --instance-profile-name packer-"},
		"DeleteRolePolicy":              {endpoint + "delete-role-policy --role-name packer-", endpoint + "delete-role --role-name packer-"},
		"DeleteRole":                    {endpoint + "delete-role --role-name packer-"},
	} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.aws.AddFault(rehearsal.Fault{Action: action, Code: "AccessDenied", Status: http.StatusForbidden})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := w.build(t, ctx, withProfile()); err != nil {
				t.Fatalf("%v\n%s", err, w.ui.String())
			}
			said := w.ui.String()
			for _, text := range want {
				if !strings.Contains(said, text) {
					t.Errorf("got output without %q:\n%s", text, said)
				}
			}
			if n := strings.Count(said, `eval "$(packer-plugin-ethminer rehearsal-aws env -state `); n != 1 {
				t.Errorf("got %d shell setup commands, want 1", n)
			}
			if left := w.aws.Inventory()[rehearsal.Global]; len(left) == 0 || strings.Count(said, "left behind: ") != len(left) {
				t.Errorf("got leftover resources %v, want each reported in\n%s", left, said)
			}
		})
	}
}

// TestTemporaryProfilePropagation: IAM is eventually consistent, and EC2 sees a new
// profile later still.
func TestTemporaryProfilePropagation(t *testing.T) {
	w := newWorld(t)
	w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", Pace: pace.Profile{NotFound: 50 * time.Millisecond}})
	t.Cleanup(func() { _ = w.aws.Close() })
	if _, err := w.build(t, t.Context(), withProfile()); err != nil {
		t.Fatalf("%v\n%s", err, w.ui.String())
	}
	calls := w.aws.Calls()["eu-central-1"]
	if calls["PutRolePolicy"] < 2 || calls["RunInstances"] < 2 {
		t.Errorf("got calls %v, want retries", calls)
	}
	if left := w.aws.Inventory()[rehearsal.Global]; len(left) > 0 {
		t.Errorf("got leftover resources %v, want none\n%s", left, w.ui.String())
	}
}

// TestOwnProfile covers the check of a profile of the user.
func TestOwnProfile(t *testing.T) {
	for name, test := range map[string]struct {
		profile string
		skip    bool
		before  func(w *world)
		err     string
	}{
		"any name":                       {profile: "miner"},
		"a name with special characters": {profile: "team+gpu=1,a.b@c-d_e"},
		"deleted": {profile: "gone", before: func(w *world) {
			client := iam.NewFromConfig(w.awsConfig(w))
			_, _ = client.RemoveRoleFromInstanceProfile(context.Background(), &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: aws.String("gone"), RoleName: aws.String("gone")})
			_, _ = client.DeleteInstanceProfile(context.Background(), &iam.DeleteInstanceProfileInput{InstanceProfileName: aws.String("gone")})
		}, err: `iam_instance_profile: got "gone", want the name of an instance profile in the account`},
		"refused": {profile: "miner", before: func(w *world) {
			w.aws.AddFault(rehearsal.Fault{Action: "GetInstanceProfile", Code: "AccessDenied", Status: http.StatusForbidden})
		}, err: `iam_instance_profile: looking up "miner": operation error IAM: GetInstanceProfile, AccessDenied`},
		"access denied but skipped": {profile: "miner", skip: true, before: func(w *world) {
			w.aws.AddFault(rehearsal.Fault{Action: "GetInstanceProfile", Code: "AccessDenied", Status: http.StatusForbidden})
		}},
		"an IAM error": {profile: "miner", before: func(w *world) {
			w.aws.AddFault(rehearsal.Fault{Action: "GetInstanceProfile", Nth: 1})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.before != nil {
				test.before(w)
			}
			_, err := w.build(t, t.Context(), map[string]any{"iam_instance_profile": test.profile, "skip_profile_validation": test.skip, "preflight": "off"})
			if err == nil {
				err = errors.New("")
			}
			if !strings.Contains(err.Error(), test.err) || (err.Error() == "") != (test.err == "") {
				t.Errorf("got %v, want %q\n%s", err, test.err, w.ui.String())
			}
		})
	}
}
