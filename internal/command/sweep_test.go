// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package command

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
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
		"both ways to choose": {"--build-id", "build-dead", "--older-than", "1h"},
		"no build id":         {"--region", "us-east-1", "--build-id", "nonsense id"},
		"a short build id":    {"--region", "us-east-1", "--build-id", "x"},
		"no duration":         {"--older-than", "1"},
		"a negative duration": {"--older-than", "-1h"},
		"no region":           {"--region", "us-east-1,nowhere"},
		"a misspelt region":   {"--region", "us-east-1,eu-centrall-1"},
		"an empty region":     {"--region", "us-east-1,"},
	} {
		var out, said bytes.Buffer
		if code := run(t, "sweep", args, streams{out: &out, err: &said}); code != exitUsage || said.Len() == 0 {
			t.Errorf("%s: got exit code %d, stderr %q", name, code, said.String())
		}
	}
}

// TestSweepQuotesCommands: anyone with permission to tag controls the text of a tag.
func TestSweepQuotesCommands(t *testing.T) {
	o := rehearsal.Options{StateDir: filepath.Join(t.TempDir(), "it's mine"), Instance: rehearsal.NoInstance, Latency: "instant"}
	s := connect(t, o)
	makeKey(t, s, "alive", "a b; rm x", time.Hour)
	var out, said bytes.Buffer
	run(t, "sweep", []string{"--rehearsal", o.StateDir}, streams{out: &out, err: &said})
	want := `packer-plugin-ethminer sweep -build-id 'a b; rm x' -rehearsal '` + strings.ReplaceAll(o.StateDir, "'", `'\''`) + "'\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// leave creates two key pairs of dead builds and one of a running build.
func leave(t *testing.T, s *rehearsal.Session) {
	t.Helper()
	for name, expires := range map[string]time.Duration{"dead-1": -time.Hour, "dead-2": -time.Minute, "alive": time.Hour} {
		makeKey(t, s, name, "build-"+name, expires)
	}
}

func makeKey(t *testing.T, s *rehearsal.Session, name, build string, expires time.Duration) {
	t.Helper()
	_, err := sdk.NewFromConfig(s.AWSConfig("eu-central-1")).CreateKeyPair(t.Context(), &sdk.CreateKeyPairInput{
		KeyName: aws.String(name), KeyType: types.KeyTypeEd25519,
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeKeyPair, Tags: []types.Tag{
			{Key: aws.String(tags.BuildID), Value: aws.String(build)},
			{Key: aws.String(tags.Expires), Value: aws.String(tags.Stamp(time.Now().Add(expires)))},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSweepConfirmation(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		answer string // of the user; empty without a terminal
		fault  string // the denied action
		code   int
		left   int // of three key pairs
		out    string
		err    string // on stderr
	}{
		"no terminal":      {nil, "", "", exitUnconfirmed, 3, "", "Nothing was removed; confirm with -yes."},
		"no":               {nil, "n\n", "", exitUnconfirmed, 3, "", "Remove 2 resources? [y/N] "},
		"just enter":       {nil, "\n", "", exitUnconfirmed, 3, "", "Remove 2 resources? [y/N] "},
		"yes":              {nil, "y\n", "", exitOK, 1, "removed key-pair key-", ""},
		"--yes":            {[]string{"--yes"}, "", "", exitOK, 1, "removed key-pair key-", ""},
		"older":            {[]string{"--yes", "--older-than", "30m"}, "", "", exitOK, 2, "removed key-pair key-", ""},
		"one build":        {[]string{"--yes", "--build-id", "build-alive"}, "", "", exitOK, 2, "removed key-pair key-", ""},
		"another region":   {[]string{"--yes", "--region", "us-east-1"}, "", "", exitOK, 3, "No resources of dead builds in us-east-1.", ""},
		"two regions":      {[]string{"--yes", "--region", "us-east-1,eu-central-1"}, "", "", exitOK, 1, "removed key-pair key-", ""},
		"refused":          {[]string{"--yes"}, "", "DeleteKeyPair", exitError, 3, "", ""},
		"denied look-up":   {[]string{"--yes"}, "", "DescribeKeyPairs", exitError, 3, "", ""},
		"denied elsewhere": {[]string{"--yes", "--region", "eu-central-1"}, "", "DescribeInstances", exitError, 1, "", "Search incomplete in eu-central-1: could not list instances.\n"},
		"json":             {[]string{"--json"}, "", "", exitUnconfirmed, 3, `"removed": false`, ""},
		"json, yes":        {[]string{"--json", "--yes"}, "", "", exitOK, 1, `"removed": true`, ""},
		"json, no prompt":  {[]string{"--json"}, "y\n", "", exitUnconfirmed, 3, `"removed": false`, ""},
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
			code := run(t, "sweep", append([]string{"--rehearsal", o.StateDir}, test.args...), std)
			if code != test.code || !strings.Contains(out.String(), test.out) || !strings.Contains(said.String(), test.err) {
				t.Errorf("got exit code %d, want %d; output\n%s%s", code, test.code, out.String(), said.String())
			}
			if test.fault == "DeleteKeyPair" && strings.Count(said.String(), "aws --endpoint-url "+s.Endpoint+" ec2 delete-key-pair --key-pair-id key-") != 2 {
				t.Errorf("got output without the commands:\n%s", said.String())
			}
			if n := strings.Count(said.String(), `eval "$(packer-plugin-ethminer rehearsal-aws env -state `+o.StateDir+`)"`); n != 1 && test.fault == "DeleteKeyPair" {
				t.Errorf("got %d shell setup commands, want 1:\n%s", n, said.String())
			}
			if strings.Contains(name, "json") {
				var got struct{ Resources []map[string]any }
				if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Resources) != 2 {
					t.Errorf("%v: %s", err, out.String())
				}
			}
			inventory, err := s.Inventory(t.Context())
			if err != nil || len(inventory["eu-central-1"]) != test.left {
				t.Errorf("got inventory %v, %v, want %d key pairs", inventory, err, test.left)
			}
		})
	}
}

// TestSweepReportsFailedSearch: a failed search is not reported as an empty result.
func TestSweepReportsFailedSearch(t *testing.T) {
	for name, test := range map[string]struct {
		args, refused []string
		out, err      string
		errors        []string // of -o json
	}{
		"a region":    {[]string{"--region", "us-east-1,eu-central-1"}, []string{"DescribeKeyPairs", "DescribeVolumes"}, "No resources of dead builds in us-east-1.\n", "\nSearch incomplete in eu-central-1: could not list volumes, key-pairs.\n", []string{"eu-central-1 volume", "eu-central-1 key-pair"}},
		"only region": {[]string{"--region", "eu-central-1"}, []string{"DescribeKeyPairs"}, "", "\nSearch incomplete in eu-central-1: could not list key-pairs.\n", []string{"eu-central-1 key-pair"}},
		"all regions": {nil, []string{"DescribeRegions"}, "", "", []string{"us-east-1 "}},
	} {
		t.Run(name, func(t *testing.T) {
			o := rehearsal.Options{StateDir: t.TempDir(), Instance: rehearsal.NoInstance, Latency: "instant"}
			s := connect(t, o)
			for _, action := range test.refused {
				for _, region := range []string{"eu-central-1", "us-east-1"} {
					if region == "us-east-1" && action != "DescribeRegions" {
						continue
					}
					if err := s.AddFault(t.Context(), rehearsal.Fault{Action: action, Region: region, Code: "UnauthorizedOperation", Status: http.StatusForbidden}); err != nil {
						t.Fatal(err)
					}
				}
			}
			var out, said bytes.Buffer
			args := append([]string{"--rehearsal", o.StateDir}, test.args...)
			if code := run(t, "sweep", args, streams{out: &out, err: &said}); code != exitError || out.String() != test.out || !strings.Contains(said.String(), test.err) {
				t.Errorf("got exit code %d, stdout %q, want %q; stderr %s", code, out.String(), test.out, said.String())
			}
			out.Reset()
			if code := run(t, "sweep", append(args, "--json"), streams{out: &out, err: &said}); code != exitError {
				t.Errorf("got exit code %d with --json", code)
			}
			var got struct {
				Errors []struct{ Region, Kind, Error string }
			}
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			var missed []string
			for _, e := range got.Errors {
				if missed = append(missed, e.Region+" "+e.Kind); !strings.Contains(e.Error, "UnauthorizedOperation") {
					t.Errorf("%s: %q", e.Kind, e.Error)
				}
			}
			if !slices.Equal(missed, test.errors) {
				t.Errorf("got errors for %q, want %q", missed, test.errors)
			}
		})
	}
}

// TestSweepWithoutServer: without a rehearsal's server nothing is swept, in particular
// no account.
func TestSweepWithoutServer(t *testing.T) {
	var out, said bytes.Buffer
	if code := run(t, "sweep", []string{"--rehearsal", t.TempDir(), "--yes"}, streams{out: &out, err: &said}); code != exitError || said.Len() == 0 {
		t.Errorf("got exit code %d, stderr %q", code, said.String())
	}
}
