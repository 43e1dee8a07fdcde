// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import "testing"

func TestPointCommands(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"aws ec2 enable-image --image-id ami-1", "aws --endpoint-url E ec2 enable-image --image-id ami-1"},
		{"not offered; aws ec2 describe-instance-type-offerings says where", "not offered; aws --endpoint-url E ec2 describe-instance-type-offerings says where"},
		{"aws iam delete-role-policy --role-name r; aws iam delete-role --role-name r",
			"aws --endpoint-url E iam delete-role-policy --role-name r; aws --endpoint-url E iam delete-role --role-name r"},
		{"(aws s3api delete-object)\naws service-quotas list-service-quotas",
			"(aws --endpoint-url E s3api delete-object)\naws --endpoint-url E service-quotas list-service-quotas"},
		{"aws --endpoint-url E ec2 enable-image", "aws --endpoint-url E ec2 enable-image"}, // added only once
		{"the policy of arn:aws:iam::aws:policy/x", "the policy of arn:aws:iam::aws:policy/x"},
		{"AWS refuses what aws does not know", "AWS refuses what aws does not know"},
	} {
		if got := PointCommands(test.text, "E"); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
		if got := PointCommands(test.text, ""); got != test.text {
			t.Errorf("on AWS: got %q, want %q", got, test.text)
		}
	}
}
