// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/eth-mining/packer-plugin-ethminer/internal/ec2api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// What the rehearsal's EC2 offers, in EC2's own shape, is as the catalogue says.
func TestTheRehearsalAgrees(t *testing.T) {
	server := rehearsal.New(rehearsal.Config{})
	t.Cleanup(func() { _ = server.Close() })
	out, err := ec2api.New(server.AWSConfig("us-east-1"), "").EC2("us-east-1").DescribeInstanceTypes(t.Context(), &ec2.DescribeInstanceTypesInput{})
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
		{"the same", `"Name":"T4","Count":1,"MemoryInfo":{"SizeInMiB":15360}`, "g4dn.xlarge", "1 types are as"},
		{"another GPU", `"Name":"L4","Count":1,"MemoryInfo":{"SizeInMiB":15360}`, "g4dn.xlarge", "has a L4, the catalogue says T4"},
		{"another number", `"Name":"T4","Count":2,"MemoryInfo":{"SizeInMiB":15360}`, "g4dn.xlarge", "has 2 GPUs, the catalogue says 1"},
		{"other memory", `"Name":"T4","Count":1,"MemoryInfo":{"SizeInMiB":30720}`, "g4dn.xlarge", "has 32.2 GB a GPU, the catalogue says 16"},
		{"a new family", `"Name":"B300","Count":8`, "p7.48xlarge", "is not in the catalogue; it has 8 B300"},
	} {
		var said strings.Builder
		err := compare(strings.NewReader(`{"InstanceTypes":[{"InstanceType":"`+test.of+`","GpuInfo":{"Gpus":[{"Manufacturer":"NVIDIA",`+test.gpu+`}]}}]}`), &said)
		if !strings.Contains(said.String(), test.want) || (err == nil) != (test.name == "the same") {
			t.Errorf("%s: %q, %v; expected %q", test.name, said.String(), err, test.want)
		}
	}
	if err := compare(strings.NewReader(`{"InstanceTypes":[]}`), &strings.Builder{}); err == nil {
		t.Error("nothing to compare is no agreement")
	}
}
