// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
)

func TestSweepUsage(t *testing.T) {
	for name, args := range map[string][]string{
		"a word":              {"all"},
		"unknown":             {"--force"},
		"both":                {"--region", "us-east-1", "--all-regions"},
		"both ways to choose": {"--build-id", "x", "--older-than", "1h"},
		"no duration":         {"--older-than", "1"},
		"a negative duration": {"--older-than", "-1h"},
		"no region":           {"--region", "us-east-1,nowhere"},
		"an empty region":     {"--region", "us-east-1,"},
	} {
		var out, said bytes.Buffer
		if code := runSweep(t.Context(), args, streams{out: &out, err: &said}); code != exitUsage || said.Len() == 0 {
			t.Errorf("%s: exit code %d, it says %q", name, code, said.String())
		}
	}
}

// leave makes two key pairs of a dead build, and one of a living one.
func leave(t *testing.T, s *rehearsal.Session) {
	t.Helper()
	for name, expires := range map[string]time.Duration{"dead-1": -time.Hour, "dead-2": -time.Minute, "alive": time.Hour} {
		_, err := sdk.NewFromConfig(s.AWSConfig("eu-central-1")).CreateKeyPair(t.Context(), &sdk.CreateKeyPairInput{
			KeyName: aws.String(name), KeyType: types.KeyTypeEd25519,
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeKeyPair, Tags: []types.Tag{
				{Key: aws.String(tags.BuildID), Value: aws.String("build-" + name)},
				{Key: aws.String(tags.Expires), Value: aws.String(tags.Stamp(time.Now().Add(expires)))},
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSweepAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		answer string // of a person, none if empty
		fault  string // the action that is refused
		code   int
		left   int // of three key pairs
		out    string
	}{
		"nobody there":    {nil, "", "", exitLeft, 3, "Nothing was removed; --yes removes it."},
		"no":              {nil, "n\n", "", exitLeft, 3, "Remove these 2? [y/N] "},
		"just enter":      {nil, "\n", "", exitLeft, 3, "Remove these 2? [y/N] "},
		"yes":             {nil, "y\n", "", exitOK, 1, "removed key-pair key-"},
		"--yes":           {[]string{"--yes"}, "", "", exitOK, 1, "removed key-pair key-"},
		"older":           {[]string{"--yes", "--older-than", "30m"}, "", "", exitOK, 2, "removed key-pair key-"},
		"one build":       {[]string{"--yes", "--build-id", "build-alive"}, "", "", exitOK, 2, "removed key-pair key-"},
		"another region":  {[]string{"--yes", "--region", "us-east-1"}, "", "", exitOK, 3, "Nothing is left of dead builds in us-east-1."},
		"two regions":     {[]string{"--yes", "--region", "us-east-1,eu-central-1"}, "", "", exitOK, 1, "removed key-pair key-"},
		"refused":         {[]string{"--yes"}, "", "DeleteKeyPair", exitError, 3, ""},
		"may not look":    {[]string{"--yes"}, "", "DescribeKeyPairs", exitError, 3, ""},
		"json":            {[]string{"--json"}, "", "", exitLeft, 3, `"removed": false`},
		"json, yes":       {[]string{"--json", "--yes"}, "", "", exitOK, 1, `"removed": true`},
		"json is no talk": {[]string{"--json"}, "y\n", "", exitLeft, 3, `"removed": false`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Latency: "instant"}
			s := connect(t, o)
			leave(t, s)
			if test.fault != "" {
				if err := s.AddFault(t.Context(), rehearsal.Fault{Action: test.fault, Region: "eu-central-1", Code: "UnauthorizedOperation", Status: http.StatusForbidden}); err != nil {
					t.Fatal(err)
				}
			}
			var out, said bytes.Buffer
			std := streams{in: strings.NewReader(test.answer), out: &out, err: &said, person: test.answer != ""}
			code := runSweep(t.Context(), append([]string{"--rehearsal", o.StateDir}, test.args...), std)
			if code != test.code || !strings.Contains(out.String(), test.out) {
				t.Errorf("exit code %d, want %d; it says\n%s%s", code, test.code, out.String(), said.String())
			}
			if test.fault == "DeleteKeyPair" && strings.Count(said.String(), "aws --endpoint-url "+s.Endpoint+" ec2 delete-key-pair --key-pair-id key-") != 2 {
				t.Errorf("the commands are missing:\n%s", said.String())
			}
			if strings.Contains(name, "json") {
				var got struct{ Resources []map[string]any }
				if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Resources) != 2 {
					t.Errorf("%v: %s", err, out.String())
				}
			}
			inventory, err := s.Inventory(t.Context())
			if err != nil || len(inventory["eu-central-1"]) != test.left {
				t.Errorf("left are %v, %v, want %d", inventory, err, test.left)
			}
		})
	}
}

// Without a rehearsal's server there is nothing to sweep, and no account is.
func TestSweepOfNoRehearsal(t *testing.T) {
	var out, said bytes.Buffer
	if code := runSweep(t.Context(), []string{"--rehearsal", t.TempDir(), "--yes"}, streams{out: &out, err: &said}); code != exitError || said.Len() == 0 {
		t.Errorf("exit code %d, it says %q", code, said.String())
	}
}
