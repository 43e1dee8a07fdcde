// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"strings"
	"testing"
)

func TestDecide(t *testing.T) {
	for _, test := range []struct {
		name, statements, action string
		want                     Decision
	}{
		{"one action as a text", `{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*"}`, "ec2:RunInstances", Allowed},
		{"whatever the case", `{"Effect":"Allow","Action":["EC2:runinstances"],"Resource":["*"]}`, "ec2:RunInstances", Allowed},
		{"a star stands for the rest", `{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}`, "ec2:DescribeImages", Allowed},
		{"a star does not leave its place", `{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}`, "ec2:RunInstances", NotAllowed},
		{"everything", `{"Effect":"Allow","Action":"*","Resource":"*"}`, "kms:DescribeKey", Allowed},
		{"a denial wins", `{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}`, "ec2:RunInstances", Denied},
		{"all but one", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "ec2:RunInstances", Allowed},
		{"the one", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "iam:PassRole", NotAllowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := Parse([]byte(`{"Version":"2012-10-17","Statement":[` + test.statements + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := d.Decide(test.action); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
			again, err := Parse([]byte(d.JSON()))
			if err != nil || again.Decide(test.action) != test.want {
				t.Errorf("written and read again it decides otherwise: %v\n%s", err, d.JSON())
			}
		})
	}
}

// What it could not decide as IAM does, it refuses, and says where.
func TestParseRefuses(t *testing.T) {
	for _, test := range []struct{ statement, want string }{
		{`{"Sid":"Mine","Effect":"Allow","Action":"ec2:*","Resource":"*","Condition":{"Bool":{"a":"true"}}}`, "statement 1 (Mine): a Condition"},
		{`{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:instance/*"}`, `statement 1: the Resource is ["arn:`},
		{`{"Effect":"allow","Action":"ec2:*","Resource":"*"}`, `the Effect is "allow"`},
		{`{"Effect":"Allow","Resource":"*"}`, "either Action or NotAction"},
		{`{"Effect":"Allow","Action":"RunInstances","Resource":"*"}`, `"RunInstances" is no action`},
		{`{"Effect":"Allow","Action":"ec2:*","Resource":"*","Actions":"x"}`, "Actions"},
		{``, "no statement"},
	} {
		if _, err := Parse([]byte(`{"Statement":[` + test.statement + `]}`)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", test.statement, err, test.want)
		}
	}
}
