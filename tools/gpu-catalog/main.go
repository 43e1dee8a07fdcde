// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Command gpu-catalog compares internal/gpucatalog with EC2's instance types and prints each
// difference:
//
//	aws ec2 describe-instance-types --region us-east-1 | go run ./tools/gpu-catalog
//
// Regions offer different types, so compare the output for several regions.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/gpucatalog"
)

func main() {
	if err := compare(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gpu-catalog:", err)
		os.Exit(1)
	}
}

// answer is EC2's response (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html).
type answer struct {
	InstanceTypes []struct {
		InstanceType string
		GpuInfo      struct {
			Gpus []struct {
				Name, Manufacturer string
				Count              int
				MemoryInfo         struct{ SizeInMiB float64 }
			}
		}
	}
}

// compare prints a line for each difference, and returns an error if there are any.
func compare(in io.Reader, out io.Writer) error {
	var a answer
	if err := json.NewDecoder(in).Decode(&a); err != nil {
		return fmt.Errorf("parsing the output of `aws ec2 describe-instance-types`: %w", err)
	}
	compared, different := 0, 0
	for _, t := range a.InstanceTypes {
		if len(t.GpuInfo.Gpus) == 0 || t.GpuInfo.Gpus[0].Manufacturer != "NVIDIA" {
			continue
		}
		compared++
		gpu := t.GpuInfo.Gpus[0]
		e, err := gpucatalog.Lookup(t.InstanceType)
		var what string
		switch gb := gpu.MemoryInfo.SizeInMiB * (1 << 20) / 1e9; {
		case err != nil:
			what = fmt.Sprintf("is missing from the catalog; EC2 has %d %s", gpu.Count, gpu.Name)
		case e.Refused != "": // unsupported types have no other data
		case !strings.EqualFold(e.Name, gpu.Name):
			what = fmt.Sprintf("has a %s, but %s in the catalog", gpu.Name, e.Name)
		case e.Count != gpu.Count:
			what = fmt.Sprintf("has %d GPUs, but %d in the catalog", gpu.Count, e.Count)
		case math.Abs(gb-e.MemoryGB) > e.MemoryGB/10: // some sources confuse GB and GiB
			what = fmt.Sprintf("has %.1f GB for each GPU, but %.0f in the catalog", gb, e.MemoryGB)
		}
		if what != "" {
			different++
			if _, err := fmt.Fprintln(out, t.InstanceType, what); err != nil {
				return err
			}
		}
	}
	switch {
	case compared == 0:
		return errors.New("the input contains no instance type with an NVIDIA GPU")
	case different > 0:
		return fmt.Errorf("%d of %d types differ from internal/gpucatalog", different, compared)
	}
	_, err := fmt.Fprintf(out, "%d types match the catalog\n", compared)
	return err
}
