// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpuoffers

import (
	"slices"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// source returns the offers of eu-central-1 in a rehearsal.
func source(t *testing.T, faults ...rehearsal.Fault) (Source, *rehearsal.Server) {
	t.Helper()
	const region = "eu-central-1"
	server := rehearsal.New(rehearsal.Config{Faults: faults})
	t.Cleanup(func() { _ = server.Close() })
	clients := awsclient.New(server.AWSConfig(region), "")
	return Source{Region: region, EC2: clients.EC2(region), List: clients.Pricing()}, server
}

func names(offers []Offer) (list []string) {
	for _, o := range offers {
		list = append(list, o.Type)
	}
	slices.Sort(list)
	return list
}

func TestFind(t *testing.T) {
	s, server := source(t)
	found, err := s.Find(t.Context(), Wanted{Architecture: "x86_64", GPUs: []string{"T4"}, MaxGPUs: 1, Market: OnDemand})
	if err != nil || len(found.Notes) > 0 {
		t.Fatalf("got %v, %v", found.Notes, err)
	}
	if got := names(found.Offers); !slices.Equal(got, []string{"g4dn.16xlarge", "g4dn.2xlarge", "g4dn.4xlarge", "g4dn.8xlarge", "g4dn.xlarge"}) {
		t.Errorf("got %v", got)
	}
	o := found.Offers[slices.IndexFunc(found.Offers, func(o Offer) bool { return o.Type == "g4dn.xlarge" })]
	if o.VCPUs != 4 || o.GPUs != 1 || o.MemoryMiB != 15360 || o.OnDemand != 0.6 || len(o.Spot) != len(o.Zones) || !slices.Equal(o.Zones, []string{"eu-central-1a", "eu-central-1b"}) {
		t.Errorf("got %+v", o)
	}
	if zone := o.SpotZone(); zone != "eu-central-1b" || o.Price(Spot) != o.Spot[zone] {
		t.Errorf("got the cheapest zone %s of %v", zone, o.Spot)
	}
	requests := 0
	for _, actions := range server.Calls() {
		for _, n := range actions {
			requests += n
		}
	}
	if requests != 4 {
		t.Errorf("got %d requests, want 4: types, zones, the price list and spot prices", requests)
	}
}

// The user's prices replace those of AWS, and are no request if they suffice.
func TestGivenPrices(t *testing.T) {
	s, _ := source(t, rehearsal.Fault{Action: "GetProducts", Code: "AccessDeniedException"})
	s.Given = map[string]float64{"g4dn.xlarge": 0.4}
	found, err := s.Find(t.Context(), Wanted{GPUs: []string{"T4"}, Market: OnDemand, MaxPrice: 1})
	if err != nil || !slices.Equal(names(found.Offers), []string{"g4dn.xlarge"}) || len(found.Notes) != 1 {
		t.Errorf("got %v, %v, %v", names(found.Offers), found.Notes, err)
	}
}

func TestUnknownPrices(t *testing.T) {
	denied := func(action string) rehearsal.Fault {
		return rehearsal.Fault{Action: action, Code: "UnauthorizedOperation"}
	}
	for _, test := range []struct {
		name   string
		faults []rehearsal.Fault
		lists  bool
		notes  []string
	}{
		{"no permission", []rehearsal.Fault{denied("GetProducts"), denied("DescribeSpotPriceHistory")}, true,
			[]string{"on-demand prices are unknown: allow pricing:GetProducts", "spot prices are unknown: allow ec2:DescribeSpotPriceHistory"}},
		{"no price list in the partition", nil, false, []string{"on-demand prices are unknown: AWS publishes no price list in US dollars"}},
		{"another error", []rehearsal.Fault{{Action: "DescribeSpotPriceHistory", Code: "InvalidRequest", Message: "no"}}, true, []string{"spot prices are unknown: InvalidRequest: no"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := source(t, test.faults...)
			if !test.lists {
				s.List = nil
			}
			found, err := s.Find(t.Context(), Wanted{GPUs: []string{"T4"}, Market: OnDemand})
			if err != nil || len(found.Offers) == 0 || len(found.Notes) != len(test.notes) {
				t.Fatalf("got %d offers, notes %q, %v", len(found.Offers), found.Notes, err)
			}
			for i, want := range test.notes {
				if !strings.HasPrefix(found.Notes[i], want) {
					t.Errorf("got note %q, want %q", found.Notes[i], want)
				}
			}
		})
	}
}

// Without a type, the error has the reasons.
func TestNoOffer(t *testing.T) {
	s, _ := source(t, rehearsal.Fault{Action: "GetProducts", Code: "AccessDeniedException"})
	_, err := s.Find(t.Context(), Wanted{GPUs: []string{"T4"}, MaxGPUs: 1, Market: OnDemand, MaxPrice: 1})
	for _, part := range []string{
		"no GPU instance type in eu-central-1 matches; of ", "5 have an unknown price (max_price_per_hour)", "have another GPU (gpus)", "2 have more than 1 GPUs (max_gpus)", "allow pricing:GetProducts",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want %q", err, part)
		}
	}
	s, _ = source(t, rehearsal.Fault{Action: "DescribeInstanceTypes", Code: "UnauthorizedOperation", Message: "no"})
	if _, err := s.Find(t.Context(), Wanted{}); err == nil || !strings.Contains(err.Error(), "listing the GPU instance types of eu-central-1: UnauthorizedOperation: no; allow ec2:DescribeInstanceTypes in eu-central-1") {
		t.Errorf("without permission: %v", err)
	}
}

// TestFindInMoto: moto has AWS's own data of instance types.
func TestFindInMoto(t *testing.T) {
	const region = "us-east-1"
	clients := awsclient.New(mototest.Start(t, region), "")
	found, err := Source{Region: region, EC2: clients.EC2(region)}.Find(t.Context(), Wanted{Market: Spot})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Offer{
		"g4dn.xlarge":   {Architecture: "x86_64", VCPUs: 4, GPUs: 1},
		"g4dn.12xlarge": {Architecture: "x86_64", VCPUs: 48, GPUs: 4},
		"g5g.xlarge":    {Architecture: "arm64", VCPUs: 4, GPUs: 1},
		"p4d.24xlarge":  {Architecture: "x86_64", VCPUs: 96, GPUs: 8},
	} {
		i := slices.IndexFunc(found.Offers, func(o Offer) bool { return o.Type == name })
		if i < 0 {
			t.Errorf("%s is missing in %v", name, names(found.Offers))
			continue
		}
		o := found.Offers[i]
		if o.Architecture != want.Architecture || o.VCPUs != want.VCPUs || o.GPUs != want.GPUs || len(o.Zones) == 0 || !strings.HasPrefix(o.Zones[0], region) || o.MemoryMiB < 15000 || len(o.Spot) == 0 || o.Price(Spot) <= 0 {
			t.Errorf("%s: got %+v", name, o)
		}
	}
	if slices.ContainsFunc(found.Offers, func(o Offer) bool { return o.GPU.Refused != "" }) {
		t.Errorf("got unsupported types in %v", names(found.Offers))
	}
	t.Logf("moto offers %d types; notes: %q", len(found.Offers), found.Notes)
}
