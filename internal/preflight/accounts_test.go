// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// stranger is the identity of another account than expected.
type stranger struct{}

func (stranger) GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	return &sts.GetCallerIdentityOutput{Account: aws.String("333344445555")}, nil
}

// A role of another account than the configured one is an error, and nothing else is
// requested with it.
func TestWrongAccount(t *testing.T) {
	p := &plan{Plan: Plan{Accounts: []Account{{
		Attribute: "ami_accounts[0]", ID: "222233334444", Role: "arn:aws:iam::333344445555:role/packer", Regions: []string{"us-east-1"}, ImageName: "miner",
		Cloud: Cloud{Identity: stranger{}},
	}}}}
	var n notes
	p.accounts(t.Context(), &n)
	if len(n.findings) != 1 || !strings.Contains(n.findings[0].String(), `ami_accounts[0].id: got "222233334444", but arn:aws:iam::333344445555:role/packer belongs to account 333344445555`) {
		t.Errorf("got %v, want one error for the id", n.findings)
	}
}
