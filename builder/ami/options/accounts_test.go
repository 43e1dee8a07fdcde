// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package options

import (
	"maps"
	"strings"
	"testing"
)

// Wrong blocks of ami_accounts are refused without requests, with the attribute.
func TestAccountOptions(t *testing.T) {
	const id, role = "222233334444", "arn:aws:iam::222233334444:role/packer"
	for name, test := range map[string]struct {
		account, config map[string]any
		want            string // empty for a valid one
	}{
		"the least":           {nil, nil, ""},
		"everything":          {map[string]any{"external_id": "x", "regions": []string{"us-east-1"}, "kms_key_ids": map[string]string{"us-east-1": "alias/mine"}, "tags": map[string]string{"a": "{{ .BuildRegion }}"}, "ssm_parameter": "/a/b"}, nil, ""},
		"no id":               {map[string]any{"id": ""}, nil, `ami_accounts[0].id: got "", want an account id`},
		"a short id":          {map[string]any{"id": "22223333444"}, nil, `ami_accounts[0].id: got "22223333444", want an account id of 12 digits`},
		"no role":             {map[string]any{"role_arn": ""}, nil, `ami_accounts[0].role_arn: got "", want an ARN`},
		"a user":              {map[string]any{"role_arn": "arn:aws:iam::222233334444:user/packer"}, nil, "ami_accounts[0].role_arn: got"},
		"another account":     {map[string]any{"role_arn": "arn:aws:iam::333344445555:role/packer"}, nil, "want a role of account 222233334444 (ami_accounts[0].id)"},
		"another region":      {map[string]any{"regions": []string{"us-west-2"}}, nil, `ami_accounts[0].regions[0]: got "us-west-2", want a region of the build (eu-central-1, us-east-1)`},
		"no regions":          {map[string]any{"regions": []string{}}, nil, "ami_accounts[0].regions: got an empty list"},
		"a key elsewhere":     {map[string]any{"kms_key_ids": map[string]string{"us-west-2": "alias/mine"}}, nil, `ami_accounts[0].kms_key_ids["us-west-2"]: got "us-west-2"`},
		"another owner's key": {map[string]any{"kms_key_ids": map[string]string{"us-east-1": "arn:aws:kms:us-east-1:333344445555:key/6741f2a3-7c1e-4b0a-9f58-0d5c2f6f7b11"}}, nil, "want a key of account 222233334444"},
		"a bad parameter":     {map[string]any{"ssm_parameter": "a b"}, nil, `ami_accounts[0].ssm_parameter: got "a b"`},
		"a permanent share":   {nil, map[string]any{"ami_users": []string{id}}, `ami_accounts[0].id: got "222233334444", which is also in ami_users`},
		"an image to copy":    {nil, map[string]any{"source_ami_from": "ami-0123456789abcdef0"}, "ami_accounts, source_ami_from: both are set"},
		"no image":            {nil, map[string]any{"skip_create_ami": true}, "ami_accounts, skip_create_ami: both are set"},
		"twice":               {nil, map[string]any{"ami_accounts": []map[string]any{{"id": id, "role_arn": role}, {"id": id, "role_arn": role}}}, "ami_accounts[1].id: got"},
	} {
		t.Run(name, func(t *testing.T) {
			account := map[string]any{"id": id, "role_arn": role}
			maps.Copy(account, test.account)
			config := map[string]any{"region": "eu-central-1", "ami_regions": []string{"us-east-1"}, "ami_name": "miner", "ami_accounts": []map[string]any{account}}
			maps.Copy(config, test.config)
			_, err := new(Config).Prepare(config)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
