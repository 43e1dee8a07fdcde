// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"github.com/zclconf/go-cty/cty/msgpack"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
)

// TestMain discards packer-plugin-amazon's log.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// result is the output as a user's HCL sees it. A number that is null stays nil.
type result struct {
	InstanceTypes []string `json:"instance_types"`
	Offers        []struct {
		InstanceType   string   `json:"instance_type"`
		GPU            string   `json:"gpu"`
		GPUCount       int      `json:"gpu_count"`
		Compute        string   `json:"compute_capability"`
		Zones          []string `json:"availability_zones"`
		LimitMhs       float64  `json:"limit_mhs"`
		HashrateMhs    float64  `json:"hashrate_mhs"`
		HashrateSource string   `json:"hashrate_source"`
		OnDemandUSD    *float64 `json:"on_demand_usd"`
		SpotUSD        *float64 `json:"spot_usd"`
		SpotZone       string   `json:"spot_zone"`
		MhsPerUSD      *float64 `json:"mhs_per_usd"`
	} `json:"offers"`
	Notes []string `json:"notes"`
}

// run executes a data source with options.
func run(t *testing.T, options map[string]any) (r result, err error) {
	t.Helper()
	var d Datasource
	if err := d.Configure(options); err != nil {
		return r, err
	}
	value, err := d.Execute()
	// Packer's RPC encodes the value in both cases, and panics on one without a type.
	if _, encodeErr := msgpack.Marshal(value, cty.DynamicPseudoType); encodeErr != nil {
		t.Fatal(encodeErr)
	}
	if err != nil {
		return r, err
	}
	text, encodeErr := ctyjson.Marshal(value, value.Type())
	if encodeErr != nil {
		t.Fatal(encodeErr)
	}
	return r, json.Unmarshal(text, &r)
}

// in adds options to a rehearsal.
func in(options map[string]any) map[string]any {
	all := map[string]any{"rehearsal": true, "region": "eu-central-1"}
	maps.Copy(all, options)
	return all
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigureErrors(t *testing.T) {
	for _, test := range []struct {
		name    string
		options map[string]any
		want    string
	}{
		{"an unknown region", map[string]any{"region": "frankfurt"}, `region: got "frankfurt", want a region`},
		{"an unknown architecture", map[string]any{"architecture": "amd64"}, `architecture: got "amd64", want one of x86_64, arm64`},
		{"an unknown market", map[string]any{"market": "capacity-block"}, `market: got "capacity-block", want one of on-demand, spot`},
		{"an unknown order", map[string]any{"sort_by": "name"}, `sort_by: got "name", want one of rate_per_dollar, rate, price`},
		{"an unknown coin", map[string]any{"coin": "eth"}, `coin: got "eth", want one of etc, ethw, custom`},
		{"an unknown GPU", map[string]any{"gpus": []string{"T4", "GTX 1080"}}, `gpus[1]: got "GTX 1080", want one of A100, A10G`},
		{"an unsupported GPU", map[string]any{"gpus": []string{"K80"}}, `gpus[0]: got "K80"`},
		{"an unknown compute capability", map[string]any{"compute_capabilities": []string{"75"}}, `compute_capabilities[0]: got "75", want one of 10.0`},
		{"a negative number", map[string]any{"max_gpus": -1}, "max_gpus: got -1"},
		{"a negative price", map[string]any{"max_price_per_hour": -0.5}, "max_price_per_hour: got -0.5"},
		{"a negative block", map[string]any{"benchmark_block": -1}, "benchmark_block: got -1"},
		{"a price of nothing", map[string]any{"prices": map[string]string{"g4dn.xlarge": "0"}}, `prices["g4dn.xlarge"]: got "0"`},
		{"a missing report", map[string]any{"reports": []string{"nowhere.json"}}, "reports[0]: open nowhere.json"},
		{"another file", map[string]any{"reports": []string{write(t, "x.json", `{"builds": []}`)}}, "x.json is not the report of a build"},
		{"an invalid pattern", map[string]any{"reports": []string{"[.json"}}, `reports[0]: got "[.json", want a path or a pattern`},
		{"a missing policy", map[string]any{"rehearsal_policy": "nowhere.json"}, "rehearsal_policy: open nowhere.json"},
		{"an unknown option", map[string]any{"types": "g4dn"}, "types"},
	} {
		var d Datasource
		if err := d.Configure(in(test.options)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	var d Datasource
	err := d.Configure(map[string]any{"rehearsal": true, "market": "x", "sort_by": "y"})
	for _, part := range []string{"region: not set", "market: got", "sort_by: got"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want all errors together", err)
		}
	}
}

// Values that are known only during the build are no errors.
func TestConfigureUnknown(t *testing.T) {
	var d Datasource
	if err := d.Configure(map[string]any{
		"rehearsal": true, "region": hclvalue.Unknown, "architecture": hclvalue.Unknown, "gpus": []string{hclvalue.Unknown}, "compute_capabilities": []string{hclvalue.Unknown},
		"market": hclvalue.Unknown, "sort_by": hclvalue.Unknown, "coin": hclvalue.Unknown, "prices": map[string]string{"g4dn.xlarge": hclvalue.Unknown},
		"reports": []string{hclvalue.Unknown}, "rehearsal_policy": hclvalue.Unknown,
	}); err != nil {
		t.Error(err)
	}
}

func TestExecute(t *testing.T) {
	got, err := run(t, in(map[string]any{"gpus": []string{"T4", "A10G"}, "max_gpus": 1, "max_price_per_hour": 0.65}))
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.InstanceTypes) != "[g5.xlarge g4dn.xlarge]" || len(got.Offers) != 2 {
		t.Fatalf("got %v", got)
	}
	o := got.Offers[1]
	if o.InstanceType != "g4dn.xlarge" || o.GPU != "T4" || o.GPUCount != 1 || o.Compute != "7.5" || o.LimitMhs != 39.06 || o.HashrateMhs != 25 || !strings.HasPrefix(o.HashrateSource, "estimate") ||
		o.OnDemandUSD == nil || *o.OnDemandUSD != 0.6 || o.SpotUSD == nil || *o.SpotUSD >= 0.6 || o.SpotZone != "eu-central-1b" || o.MhsPerUSD == nil || *o.MhsPerUSD != 41.67 || len(o.Zones) != 2 {
		t.Errorf("got %+v", o)
	}
	if fmt.Sprint(got.Notes) != "[this is a rehearsal: offers and prices are simulated]" {
		t.Errorf("got notes %q", got.Notes)
	}
	if got, err = run(t, in(map[string]any{"architecture": "arm64"})); err != nil || fmt.Sprint(got.InstanceTypes) != "[g5g.xlarge]" {
		t.Errorf("arm64: got %v, %v", got.InstanceTypes, err)
	}
	spot, err := run(t, in(map[string]any{"market": "spot", "sort_by": "price", "max_gpus": 1}))
	if err != nil || len(spot.Offers) < 3 || *spot.Offers[0].SpotUSD > *spot.Offers[1].SpotUSD || *spot.Offers[0].MhsPerUSD < spot.Offers[0].HashrateMhs {
		t.Errorf("spot: got %v, %v", spot.InstanceTypes, err)
	}
	if _, err := run(t, in(map[string]any{"max_price_per_hour": 0.1})); err == nil || !strings.Contains(err.Error(), "ethminer-instance: no GPU instance type in eu-central-1 matches") {
		t.Errorf("too low a price: got %v", err)
	}
}

// Without the permission for prices, they are null, and the notes say why.
func TestPricesNotAllowed(t *testing.T) {
	policy := write(t, "policy.json", `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ec2:DescribeInstanceTypes", "ec2:DescribeInstanceTypeOfferings"], "Resource": "*"}]}`)
	got, err := run(t, in(map[string]any{"gpus": []string{"T4", "A10G"}, "rehearsal_policy": policy}))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.InstanceTypes) == 0 || got.InstanceTypes[0] != "g5.48xlarge" {
		t.Errorf("got %v, want the highest rate first", got.InstanceTypes)
	}
	for _, o := range got.Offers {
		if o.OnDemandUSD != nil || o.SpotUSD != nil || o.SpotZone != "" || o.MhsPerUSD != nil {
			t.Errorf("got %+v, want no prices", o)
		}
	}
	if notes := strings.Join(got.Notes, "\n"); !strings.Contains(notes, "allow pricing:GetProducts") || !strings.Contains(notes, "allow ec2:DescribeSpotPriceHistory") {
		t.Errorf("got notes %q", got.Notes)
	}
}

// Rates of earlier builds replace the estimates.
func TestReports(t *testing.T) {
	const benchmark = `"benchmark": {"schema_version": 1, "device": "cuda", "gpus": ["NVIDIA L4"], "hashrate_hs": 31000000, "dag_bytes": 4739563392, "verdict": "passed", "started_at": "2026-03-01T00:00:00Z"}`
	measured := write(t, "report.json", `{"build_id": "a", "instance_type": "g6.xlarge", `+benchmark+`}`)
	rehearsed := write(t, "rehearsed.json", `{"build_id": "b", "rehearsal": true, "instance_type": "g4dn.xlarge", `+benchmark+`}`)
	got, err := run(t, in(map[string]any{"gpus": []string{"L4", "T4"}, "max_gpus": 1, "sort_by": "rate", "reports": []string{measured, filepath.Join(filepath.Dir(rehearsed), "*.json"), "nowhere/*.json"}}))
	if err != nil || len(got.Offers) < 3 {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, o := range got.Offers {
		if is := strings.HasPrefix(o.HashrateSource, "measured on g6.xlarge at a DAG of 4.41 GiB on 2026-03-01"); is != (o.GPU == "L4") || is && o.HashrateMhs != 31 {
			t.Errorf("got %s: %.2f Mh/s, %s", o.InstanceType, o.HashrateMhs, o.HashrateSource)
		}
	}
	if !strings.Contains(strings.Join(got.Notes, "\n"), "rehearsed.json is ignored: it is of a rehearsal") {
		t.Errorf("got notes %q", got.Notes)
	}
}

// TestMoto executes the data source with the credentials of the environment.
func TestMoto(t *testing.T) {
	base := mototest.Start(t, "us-east-1")
	mototest.Env(t, aws.ToString(base.BaseEndpoint))
	got, err := run(t, map[string]any{"gpus": []string{"T4"}, "max_gpus": 1, "prices": map[string]string{"g4dn.2xlarge": "0.4", "g4dn.xlarge": "0.526"}})
	if err != nil || len(got.InstanceTypes) < 4 || got.InstanceTypes[0] != "g4dn.2xlarge" || got.InstanceTypes[1] != "g4dn.xlarge" {
		t.Fatalf("got %v, %v, want the types with prices first", got.InstanceTypes, err)
	}
	if o := got.Offers[0]; len(o.Zones) == 0 || !strings.HasPrefix(o.Zones[0], "us-east-1") || *o.OnDemandUSD != 0.4 {
		t.Errorf("got %+v", o)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if _, err := run(t, map[string]any{"skip_metadata_api_check": true}); err == nil || !strings.Contains(err.Error(), "loading AWS credentials") {
		t.Errorf("without credentials: got %v", err)
	}
}
