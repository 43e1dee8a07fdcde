// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package servicequotas simulates AWS's Service Quotas for EC2 in a rehearsal.
package servicequotas

import (
	"slices"
	"strings"
	"sync"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// Default is the default of each quota in vCPUs, sufficient for the largest type. Most
// of these quotas are 0 in a new AWS account.
const Default = 768

// quotaNames maps the vCPU quotas of GPU and standard types to their names, as in `aws
// service-quotas list-service-quotas --service-code ec2`.
var quotaNames = map[string]string{
	"L-DB2E81BA": "Running On-Demand G and VT instances",
	"L-3819A6DF": "All G and VT Spot Instance Requests",
	"L-417A185B": "Running On-Demand P instances",
	"L-7212CCBC": "All P4, P3 and P2 Spot Instance Requests",
	"L-C4BD4855": "All P5 Spot Instance Requests",
	"L-1216C47A": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
	"L-34B43A08": "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
}

// Service contains the quotas of one account. The zero value is ready to use.
type Service struct {
	mu    sync.Mutex
	value map[[2]string]float64 // by region and code
}

// Set sets the value of a quota in a region.
func (s *Service) Set(region, code string, value float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value == nil {
		s.value = map[[2]string]float64{}
	}
	s.value[[2]string{region, code}] = value
}

type quota struct {
	ServiceCode, ServiceName, QuotaArn, QuotaCode, QuotaName string
	Value                                                    float64
	Unit                                                     string
	Adjustable, GlobalQuota                                  bool
}

func (s *Service) quota(region, code string) quota {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.value[[2]string{region, code}]
	if !ok {
		value = Default
	}
	return quota{
		ServiceCode: "ec2", ServiceName: "Amazon Elastic Compute Cloud (Amazon EC2)", QuotaCode: code, QuotaName: quotaNames[code],
		QuotaArn: strings.Join([]string{"arn:aws:servicequotas", region, "", "ec2/" + code}, ":"), Value: value, Unit: "None", Adjustable: true,
	}
}

// Call serves one action in a region. The response is encoded by
// encoding/json; the error is always a *query.Error.
func (s *Service) Call(region, action string, p query.Params) (any, error) {
	switch action {
	case "GetServiceQuota", "GetAWSDefaultServiceQuota":
		code := p.Get("QuotaCode")
		if quotaNames[code] == "" || p.Get("ServiceCode") != "ec2" {
			return nil, query.Errorf("NoSuchResourceException", "The request failed because the specified service quota does not exist.")
		}
		return struct{ Quota quota }{s.quota(region, code)}, nil
	case "ListServiceQuotas":
		var all struct{ Quotas []quota }
		for code := range quotaNames {
			all.Quotas = append(all.Quotas, s.quota(region, code))
		}
		slices.SortFunc(all.Quotas, func(a, b quota) int { return strings.Compare(a.QuotaCode, b.QuotaCode) })
		return all, nil
	}
	return nil, query.Errorf("UnknownOperationException", "The rehearsal does not support the action %s.", action)
}
