// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// gpu-catalog compares internal/gpucatalog with what EC2 says of its instance
// types, and names each difference:
//
//	aws ec2 describe-instance-types --region us-east-1 | go run ./tools/gpu-catalog
//
// Regions offer different types: ask several.
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

// answer is EC2's (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypes.html).
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

// compare writes a line for each difference, and returns an error if there is one.
func compare(in io.Reader, out io.Writer) error {
	var a answer
	if err := json.NewDecoder(in).Decode(&a); err != nil {
		return fmt.Errorf("reading what `aws ec2 describe-instance-types` prints: %w", err)
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
			what = fmt.Sprintf("is not in the catalogue; it has %d %s", gpu.Count, gpu.Name)
		case e.Refused != "": // nothing of it is used
		case !strings.EqualFold(e.Name, gpu.Name):
			what = fmt.Sprintf("has a %s, the catalogue says %s", gpu.Name, e.Name)
		case e.Count != gpu.Count:
			what = fmt.Sprintf("has %d GPUs, the catalogue says %d", gpu.Count, e.Count)
		case math.Abs(gb-e.MemoryGB) > e.MemoryGB/10: // some say GB and mean GiB
			what = fmt.Sprintf("has %.1f GB a GPU, the catalogue says %.0f", gb, e.MemoryGB)
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
		return errors.New("no instance type with an NVIDIA GPU in what was read")
	case different > 0:
		return fmt.Errorf("%d of %d types differ from internal/gpucatalog", different, compared)
	}
	_, err := fmt.Fprintf(out, "%d types are as the catalogue says\n", compared)
	return err
}
