// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// The instance types of the rehearsal's EC2 match the catalog.
func TestTheRehearsalAgrees(t *testing.T) {
	server := rehearsal.New(rehearsal.Config{})
	t.Cleanup(func() { _ = server.Close() })
	out, err := awsclient.New(server.AWSConfig("us-east-1"), "").EC2("us-east-1").DescribeInstanceTypes(t.Context(), &ec2.DescribeInstanceTypesInput{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if err := compare(bytes.NewReader(text), &said); err != nil {
		t.Errorf("%v\n%s", err, said.String())
	}
}

func TestCompare(t *testing.T) {
	for _, test := range []struct{ name, gpu, of, want string }{
		{"the same", `"Name":"T4","Count":1,"MemoryInfo":{"SizeInMiB":15360}`, "g4dn.xlarge", "1 types match"},
		{"another GPU", `"Name":"L4","Count":1,"MemoryInfo":{"SizeInMiB":15360}`, "g4dn.xlarge", "has a L4, but T4 in the catalog"},
		{"another number", `"Name":"T4","Count":2,"MemoryInfo":{"SizeInMiB":15360}`, "g4dn.xlarge", "has 2 GPUs, but 1 in the catalog"},
		{"other memory", `"Name":"T4","Count":1,"MemoryInfo":{"SizeInMiB":30720}`, "g4dn.xlarge", "has 32.2 GB for each GPU, but 16 in the catalog"},
		{"a new family", `"Name":"B300","Count":8`, "p7.48xlarge", "is missing from the catalog; EC2 has 8 B300"},
	} {
		var said strings.Builder
		err := compare(strings.NewReader(`{"InstanceTypes":[{"InstanceType":"`+test.of+`","GpuInfo":{"Gpus":[{"Manufacturer":"NVIDIA",`+test.gpu+`}]}}]}`), &said)
		if !strings.Contains(said.String(), test.want) || (err == nil) != (test.name == "the same") {
			t.Errorf("%s: %q, %v; expected %q", test.name, said.String(), err, test.want)
		}
	}
	if err := compare(strings.NewReader(`{"InstanceTypes":[]}`), &strings.Builder{}); err == nil {
		t.Error("compare accepted an empty input")
	}
}
