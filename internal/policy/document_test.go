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
		{"one action as a string", `{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*"}`, "ec2:RunInstances", Allowed},
		{"actions are case-insensitive", `{"Effect":"Allow","Action":["EC2:runinstances"],"Resource":["*"]}`, "ec2:RunInstances", Allowed},
		{"a wildcard at the end", `{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}`, "ec2:DescribeImages", Allowed},
		{"a wildcard that does not match", `{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}`, "ec2:RunInstances", NotAllowed},
		{"everything", `{"Effect":"Allow","Action":"*","Resource":"*"}`, "kms:DescribeKey", Allowed},
		{"an explicit deny wins", `{"Effect":"Deny","Action":"ec2:RunInstances","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}`, "ec2:RunInstances", Denied},
		{"NotAction allows other actions", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "ec2:RunInstances", Allowed},
		{"NotAction excludes its action", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "iam:PassRole", NotAllowed},
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
				t.Errorf("got a different decision after a round trip through JSON: %v\n%s", err, d.JSON())
			}
		})
	}
}

// Conditions are evaluated for each resource, as IAM does.
func TestConditions(t *testing.T) {
	const a, b = ResourceTag + "a", RequestTag + "b"
	for _, test := range []struct {
		name, effect, condition string
		resources               []Keys
		want                    Decision
	}{
		{"the tag is there", "Allow", `{"Null":{"aws:ResourceTag/a":"false"}}`, []Keys{{a: ""}}, Allowed},
		{"a JSON boolean", "Allow", `{"Null":{"aws:ResourceTag/a":false}}`, []Keys{{a: "x"}}, Allowed},
		{"in another case", "Allow", `{"Null":{"AWS:resourcetag/A":"false"}}`, []Keys{{a: "x"}}, Allowed},
		{"it is not", "Allow", `{"Null":{"aws:ResourceTag/a":"false"}}`, []Keys{{b: "x"}}, NotAllowed},
		{"it must not be there", "Allow", `{"Null":{"aws:ResourceTag/a":"true"}}`, []Keys{{}}, Allowed},
		{"no resource", "Allow", `{"Null":{"aws:ResourceTag/a":"false"}}`, nil, NotAllowed},
		{"one resource of two", "Allow", `{"Null":{"aws:ResourceTag/a":"false"}}`, []Keys{{a: "x"}, {}}, NotAllowed},
		{"one is denied", "Deny", `{"Null":{"aws:ResourceTag/a":"false"}}`, []Keys{{}, {a: "x"}}, Denied},
		{"one of the values", "Allow", `{"StringEquals":{"aws:ResourceTag/a":["x","y"]}}`, []Keys{{a: "y"}}, Allowed},
		{"another case of a value", "Allow", `{"StringEquals":{"aws:ResourceTag/a":"x"}}`, []Keys{{a: "X"}}, NotAllowed},
		{"no value", "Allow", `{"StringEquals":{"aws:ResourceTag/a":"x"}}`, []Keys{{}}, NotAllowed},
		{"no value, if it exists", "Allow", `{"StringEqualsIfExists":{"aws:ResourceTag/a":"x"}}`, []Keys{{}}, Allowed},
		{"another value, if it exists", "Allow", `{"StringEqualsIfExists":{"aws:ResourceTag/a":"x"}}`, []Keys{{a: "y"}}, NotAllowed},
		{"not the value", "Allow", `{"StringNotEquals":{"aws:ResourceTag/a":["x","y"]}}`, []Keys{{a: "z"}}, Allowed},
		{"not one of the values", "Allow", `{"StringNotEquals":{"aws:ResourceTag/a":["x","y"]}}`, []Keys{{a: "y"}}, NotAllowed},
		{"not the value, as there is none", "Allow", `{"StringNotEquals":{"aws:ResourceTag/a":"x"}}`, []Keys{{}}, Allowed},
		{"a pattern", "Allow", `{"StringLike":{"aws:RequestTag/b":"m*/?n"}}`, []Keys{{b: "me/on"}}, Allowed},
		{"a pattern of another", "Allow", `{"StringLike":{"aws:RequestTag/b":"m*/?n"}}`, []Keys{{b: "me/n"}}, NotAllowed},
		{"stars", "Allow", `{"StringLike":{"aws:RequestTag/b":"*a*a*"}}`, []Keys{{b: "banana"}}, Allowed},
		{"not a pattern", "Allow", `{"StringNotLike":{"aws:RequestTag/b":"m*"}}`, []Keys{{b: "me"}}, NotAllowed},
		{"all parts", "Allow", `{"Null":{"aws:ResourceTag/a":"false"},"StringEquals":{"ec2:CreateAction":"RunInstances"}}`, []Keys{{a: "x", CreateAction: "RunInstances"}}, Allowed},
		{"one part of two", "Allow", `{"Null":{"aws:ResourceTag/a":"false"},"StringEquals":{"ec2:CreateAction":"RunInstances"}}`, []Keys{{a: "x"}}, NotAllowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := Parse([]byte(`{"Statement":[{"Effect":"` + test.effect + `","Action":"ec2:CreateTags","Resource":"*","Condition":` + test.condition + `}]}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := d.Decide("ec2:CreateTags", test.resources...); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if again, err := Parse([]byte(d.JSON())); err != nil || again.Decide("ec2:CreateTags", test.resources...) != test.want {
				t.Errorf("written and read again it decides otherwise: %v\n%s", err, d.JSON())
			}
		})
	}
}

// TestParseErrors: a statement that cannot be evaluated exactly as by IAM is rejected,
// with its location.
func TestParseErrors(t *testing.T) {
	for _, test := range []struct{ statement, want string }{
		{`{"Sid":"Mine","Effect":"Allow","Action":"ec2:*","Resource":"*","Condition":{"Null":{"aws:ResourceTag/a":"false"}}}`, "statement 1 (Mine): got a Condition for ec2:*, want one for only these actions: ec2:Auth"},
		{`{"Effect":"Deny","NotAction":"ec2:*","Resource":"*","Condition":{"Null":{"aws:ResourceTag/a":"false"}}}`, "got a Condition with NotAction"},
		{`{"Effect":"Allow","Action":"ec2:StopInstances","Resource":"*","Condition":{"Bool":{"aws:ResourceTag/a":"true"}}}`, `got the operator "Bool" in Condition`},
		{`{"Effect":"Allow","Action":"ec2:StopInstances","Resource":"*","Condition":{"StringEquals":{"aws:SourceIp":"192.0.2.1"}}}`, `got the key "aws:SourceIp" in Condition`},
		{`{"Effect":"Allow","Action":"ec2:StopInstances","Resource":"*","Condition":{"Null":{"aws:ResourceTag/a":"no"}}}`, `got ["no"] for Null`},
		{`{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:instance/*"}`, `statement 1: got Resource ["arn:`},
		{`{"Effect":"allow","Action":"ec2:*","Resource":"*"}`, `got Effect "allow"`},
		{`{"Effect":"Allow","Resource":"*"}`, "got both or neither of Action and NotAction"},
		{`{"Effect":"Allow","Action":"RunInstances","Resource":"*"}`, `got Action "RunInstances"`},
		{`{"Effect":"Allow","Action":"ec2:*","Resource":"*","Actions":"x"}`, "Actions"},
		{``, "no statement"},
	} {
		if _, err := Parse([]byte(`{"Statement":[` + test.statement + `]}`)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", test.statement, err, test.want)
		}
	}
}
