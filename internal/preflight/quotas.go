// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"github.com/eth-mining/packer-plugin-ethminer/internal/launch"
)

// need is the number of vCPUs that a type uses of a quota in a market.
type need struct {
	kind   string
	market launch.Market
	vcpus  int
	quota  launch.ServiceQuota
}

// quota is the account's limit and usage in vCPUs.
type quota struct {
	limit     float64
	used      int
	usedKnown bool // used is known
}

// quotas checks that the quotas allow each type in each market. A reservation
// counts from its creation.
func (p *plan) quotas(ctx context.Context, n *notes) {
	types, err := p.types()
	if err != nil {
		n.gap("the vCPU quotas", "ec2:DescribeInstanceTypes", err)
	}
	var needs []need
	var codes []string
	for _, market := range p.Launch.Markets {
		for _, name := range p.Launch.Types {
			q, known := launch.QuotaOf(name, market)
			if !known || market == launch.Reservation {
				continue
			}
			vcpus := 1 // at least
			if info := types[name]; info.VCpuInfo != nil {
				vcpus = int(aws.ToInt32(info.VCpuInfo.DefaultVCpus))
			}
			needs = append(needs, need{name, market, vcpus, q})
			if !slices.Contains(codes, q.Code) {
				codes = append(codes, q.Code)
			}
		}
	}
	if len(codes) == 0 {
		return
	}
	have := make([]quota, len(codes))
	failures := make([]error, len(codes))
	var used map[string]int
	var usedErr error
	all(1+len(codes), func(i int) {
		if i == len(codes) {
			used, usedErr = p.running(ctx)
			return
		}
		out, err := p.cloud.Quotas.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: aws.String("ec2"), QuotaCode: aws.String(codes[i])})
		if failures[i] = err; err == nil && out.Quota != nil && out.Quota.Value != nil {
			have[i].limit = *out.Quota.Value
		} else if err == nil {
			failures[i] = fmt.Errorf("%s has no value", codes[i])
		}
	})
	known := map[string]quota{}
	for i, code := range codes {
		if err := failures[i]; err != nil {
			n.gap("the vCPU quotas", "servicequotas:GetServiceQuota", err)
			continue
		}
		have[i].used, have[i].usedKnown = used[code], usedErr == nil
		known[code] = have[i]
	}
	if usedErr != nil {
		n.gap("the usage of the vCPU quotas", "ec2:DescribeInstances", usedErr)
	}
	n.find(judgeQuotas(p.BuildRegion, needs, known)...)
}

// mostPages limits the listing of running instances, at 1000 instances per page.
const mostPages = 5

// running counts the vCPUs of running instances by quota.
func (p *plan) running(ctx context.Context) (map[string]int, error) {
	used := map[string]int{}
	pages := ec2.NewDescribeInstancesPaginator(p.home, &ec2.DescribeInstancesInput{
		MaxResults: aws.Int32(1000),
		Filters:    []ec2types.Filter{{Name: aws.String("instance-state-name"), Values: []string{"pending", "running"}}},
	})
	for n := 0; n < mostPages && pages.HasMorePages(); n++ {
		out, err := pages.NextPage(ctx, few)
		if err != nil {
			return nil, err
		}
		for _, r := range out.Reservations {
			for _, i := range r.Instances {
				market := launch.OnDemand
				if i.InstanceLifecycle == ec2types.InstanceLifecycleTypeSpot {
					market = launch.Spot
				}
				if q, ok := launch.QuotaOf(string(i.InstanceType), market); ok && i.CpuOptions != nil && countsAgainstQuota(i) {
					used[q.Code] += int(aws.ToInt32(i.CpuOptions.CoreCount) * aws.ToInt32(i.CpuOptions.ThreadsPerCore))
				}
			}
		}
	}
	return used, nil
}

// countsAgainstQuota reports whether a running instance counts against a vCPU
// quota. Capacity blocks and dedicated hosts have separate limits.
func countsAgainstQuota(i ec2types.Instance) bool {
	return i.InstanceLifecycle != ec2types.InstanceLifecycleTypeCapacityBlock && (i.Placement == nil || i.Placement.Tenancy != ec2types.TenancyHost)
}

// judgeQuotas finds the types that exceed a quota, one finding per quota.
func judgeQuotas(region string, needs []need, known map[string]quota) (findings []Finding) {
	var seen []string
	for _, first := range needs {
		q, ok := known[first.quota.Code]
		if !ok || slices.Contains(seen, first.quota.Code) {
			continue
		}
		seen = append(seen, first.quota.Code)
		var over []string
		most := 0
		denied := map[[2]string]bool{}
		for _, n := range needs {
			if n.quota == first.quota && float64(q.used+n.vcpus) > q.limit {
				over = append(over, fmt.Sprintf("%s needs %d", n.kind, n.vcpus))
				denied[[2]string{n.kind, string(n.market)}] = true
				most = max(most, n.vcpus)
			}
		}
		if len(over) == 0 {
			continue
		}
		inUse := ""
		if q.usedKnown && q.used > 0 {
			inUse = fmt.Sprintf(", of which %d are in use", q.used)
		}
		findings = append(findings, Finding{
			Attribute: "markets", Value: fmt.Sprintf("%s in %s: the quota %q (%s) is %.0f vCPUs%s, but %s", first.market, region, first.quota.Name, first.quota.Code, q.limit, inUse, strings.Join(over, ", ")),
			Remedy: fmt.Sprintf("raise it: aws service-quotas request-service-quota-increase --service-code ec2 --quota-code %s --region %s --desired-value %d; "+
				"or choose a smaller type or another market", first.quota.Code, region, q.used+most),
			hits: func(r launch.Attempt) bool { return denied[[2]string{r.Type, string(r.Market)}] },
		})
	}
	return findings
}
