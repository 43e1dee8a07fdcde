// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The maximum cost of the acceptance tests, in US dollars. The builder enforces the
// first two with prices from AWS.
const (
	mostPerHour = 1.0 // for an instance
	mostHours   = 1
	// Data transfer between regions, for each GB: us-west-1 is the most expensive
	// region below (https://aws.amazon.com/ec2/pricing/on-demand/, data transfer).
	mostPerCopiedGB = 0.02
	imageGB         = 8 // size of Canonical's images; EC2 copies and bills written blocks only
)

var (
	oneRegion    = []string{"us-east-1"}
	eightRegions = []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "eu-central-1", "eu-west-1", "ap-northeast-1"}
)

// acceptanceJob builds images on the least expensive type with a GPU. Its
// post-processor lists the resources and fails, so that Packer deletes the images,
// as deregister_on_destroy allows.
const acceptanceJob = `
variable "rehearsal" { type = bool }
variable "regions" { type = list(string) }
variable "market" { type = string }
variable "build_id" { type = string }
variable "list" { type = string }

source "ethminer-ami" "acceptance" {
  rehearsal             = var.rehearsal
  rehearsal_state       = "state"
  rehearsal_instance    = "none"
  region                = var.regions[0]
  ami_regions           = length(var.regions) > 1 ? var.regions : null
  ami_name              = "ethminer-${var.build_id}"
  build_id              = var.build_id
  instance_type         = "g4dn.xlarge"
  markets               = [var.market]
  capacity_timeout      = "15m"
  max_build_time        = "1h"
  max_price_per_hour    = 1
  deregister_on_destroy = true
}
build {
  sources = ["source.ethminer-ami.acceptance"]
  provisioner "shell" { inline = ["uname -a"] }
  post-processor "shell-local" { inline = ["${var.list} >made", "exit 1"] }
}
`

var (
	available = regexp.MustCompile(`(?m)^.*: ([a-z0-9-]+): ami-[0-9a-f]+ is available`)
	costs     = regexp.MustCompile(`Terminated i-[0-9a-f]+ \(.*\) .*, (?:about|less than) \$([0-9.]+) at \$[0-9.]+ per hour`)
)

// acceptance reports whether tests may use the AWS account of the environment.
func acceptance() bool { return os.Getenv("PACKER_ACC") == "1" }

// TestAcceptance builds in the AWS account of the environment with PACKER_ACC=1 (make
// testacc), and against the rehearsal otherwise.
func TestAcceptance(t *testing.T) {
	build, packer := os.Getenv("ETHMINER_BUILD"), os.Getenv("PACKER")
	if build == "" || packer == "" {
		t.Skip("SKIPPED: requires the plugin and Packer; run: make test")
	}
	if out, err := exec.Command("python3", "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: requires python3 with boto3 to list the resources: %s", out)
	}
	tests := []struct {
		market  string
		regions []string
	}{
		{"on-demand", oneRegion}, {"spot", oneRegion}, {"on-demand", eightRegions}, {"spot", eightRegions},
	}
	most := 0.0
	for _, test := range tests {
		most += mostHours*mostPerHour + float64(len(test.regions)-1)*imageGB*mostPerCopiedGB
	}
	work := t.TempDir()
	run := acceptanceTools(t, build, packer, work)
	if acceptance() {
		out, err := run("aws", "sts", "get-caller-identity", "--query", "Account", "--output", "text")
		if err != nil {
			t.Skipf("SKIPPED: PACKER_ACC=1 is set, but no AWS credentials were found: %s", out)
		}
		t.Logf("%d builds in the account %s cost about $1 in total, and at most $%.2f", len(tests), strings.TrimSpace(out), most)
	}
	if err := os.WriteFile(filepath.Join(work, "job.pkr.hcl"), []byte(acceptanceJob), 0o600); err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s in %d", test.market, len(test.regions)), func(t *testing.T) {
			id := fmt.Sprintf("acceptance-%d-%d-%s", time.Now().Unix(), len(test.regions), test.market)
			list := append([]string{"python3", "resources.py", id}, test.regions...)
			out, err := run(packer, "build", "-var", fmt.Sprintf("rehearsal=%t", !acceptance()), "-var", "market="+test.market, "-var", "build_id="+id,
				"-var", `regions=["`+strings.Join(test.regions, `","`)+`"]`, "-var", "list="+strings.Join(list, " "), "job.pkr.hcl")
			t.Cleanup(func() { // stop all costs, even after a failure
				if swept, err := run("packer-plugin-ethminer", "sweep", "--region", strings.Join(test.regions, ","), "--build-id", id, "--yes"); err != nil {
					t.Errorf("sweeping %s: %v\n%s", id, err, swept)
				}
			})
			if err == nil {
				t.Error("got no error, want one from the failing post-processor")
			}
			if n := len(available.FindAllString(out, -1)); n != len(test.regions) {
				t.Errorf("%d images became available, want %d\n%s", n, len(test.regions), out)
			}
			cost := costs.FindStringSubmatch(out)
			if cost == nil {
				t.Fatalf("the build does not report the cost of its instance:\n%s", out)
			}
			usd, _ := strconv.ParseFloat(cost[1], 64)
			total += usd
			t.Logf("the instance cost $%.2f", usd)

			// The list contains the images here, so that an empty list later is meaningful.
			made, err := os.ReadFile(filepath.Join(work, "made"))
			if err != nil {
				t.Fatal(err)
			}
			for _, region := range test.regions {
				if strings.Count(string(made), region+" image ami-") != 1 || strings.Count(string(made), region+" snapshot snap-") != 1 {
					t.Errorf("%s: want one image and one snapshot at the end of the build:\n%s", region, made)
				}
			}
			if lines := strings.Count(string(made), "\n"); lines != 2*len(test.regions) {
				t.Errorf("the build leaves resources other than its images:\n%s", made)
			}
			left, err := run(list[0], list[1:]...)
			for end := time.Now().Add(2 * time.Minute); acceptance() && left != "" && time.Now().Before(end); time.Sleep(5 * time.Second) {
				left, err = run(list[0], list[1:]...) // deleted resources may remain listed for some time
			}
			if err != nil || left != "" {
				t.Errorf("got leftover resources (%v):\n%s\n%s", err, left, out)
			}
		})
	}
	t.Logf("the instances of these builds cost $%.2f", total)
}

// acceptanceTools starts a rehearsal unless an account is used. It returns a function
// that runs a command in a folder with the test's plugin, Packer and AWS.
func acceptanceTools(t *testing.T, build, packer, work string) func(name string, args ...string) (string, error) {
	t.Helper()
	lister, err := os.ReadFile("testdata/resources.py")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "resources.py"), lister, 0o600); err != nil {
		t.Fatal(err)
	}
	env := environment(build, packer, work)
	run := runner(build, work, env)
	if acceptance() {
		return run
	}
	serve(t, build, work, env, "--instance", "none", "--latency", "instant")
	lines, err := run("sh", "-c", `eval "$("$0"/packer-plugin-ethminer rehearsal-aws env --state state)"; env`, build)
	if err != nil {
		t.Fatalf("%v\n%s", err, lines)
	}
	for line := range strings.Lines(lines) {
		if strings.HasPrefix(line, "AWS_") {
			env = append(env, strings.TrimSpace(line))
		}
	}
	return runner(build, work, env)
}
