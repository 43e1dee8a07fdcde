// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"cmp"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// encryption is EBS encryption by default, a setting of an account in a region. It
// encrypts every new volume and every copy of a snapshot.
type encryption struct {
	on  bool
	key string // empty for the AWS managed key
}

const awsKey = "alias/aws/ebs"

type encryptsByDefault struct {
	On bool `xml:"ebsEncryptionByDefault"`
}

type defaultKey struct {
	ID string `xml:"kmsKeyId"`
}

func getEncryption(c *call) (any, error) { return encryptsByDefault{c.r.encryption.on}, nil }

func enableEncryption(c *call) (any, error)  { return c.setEncryption(true) }
func disableEncryption(c *call) (any, error) { return c.setEncryption(false) }

func (c *call) setEncryption(on bool) (any, error) {
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.encryption.on = on
	return encryptsByDefault{on}, nil
}

func getDefaultKey(c *call) (any, error) {
	if c.r.encryption.key == "" {
		return defaultKey{awsKey}, nil
	}
	return defaultKey{c.kmsArn(true, "")}, nil
}

func modifyDefaultKey(c *call) (any, error) { return c.setDefaultKey(c.Params.Get("KmsKeyId")) }
func resetDefaultKey(c *call) (any, error)  { return c.setDefaultKey("") }

func (c *call) setDefaultKey(key string) (any, error) {
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.encryption.key = key
	return defaultKey{c.kmsArn(true, "")}, nil
}

// EC2 checks a KMS key only after it has accepted a call. With an unusable key, a copy
// failure and an instance terminates.

// errKeyUnusable is the reason why the machine of such a launch does not start.
var errKeyUnusable = newLaunchError("Client.InternalError", "")

// keyNotAccessible is EC2's message for such a snapshot.
const keyNotAccessible = "Given key ID is not accessible"

// usableKey reports whether EBS can encrypt with a key: an id, an alias, or the ARN of
// either. Empty is the default key of the account.
func (c *call) usableKey(key string) bool {
	if c.s.cfg.Keys == nil {
		return true
	}
	_, usable := c.s.cfg.Keys(c.r.Name, cmp.Or(key, c.r.encryption.key, awsKey))
	return usable
}

// kmsArn returns the ARN of the encryption key: the account's default key if key is
// empty, or key itself if it does not exist.
func (c *call) kmsArn(encrypted bool, key string) string {
	if !encrypted {
		return ""
	}
	key = cmp.Or(key, c.r.encryption.key, awsKey)
	if c.s.cfg.Keys != nil {
		if arn, _ := c.s.cfg.Keys(c.r.Name, key); arn != "" {
			return arn
		}
	}
	if len(key) > 4 && key[:4] == "arn:" {
		return key
	}
	if len(key) > 6 && key[:6] != "alias/" {
		key = "key/" + key
	}
	return "arn:aws:kms:" + c.r.Name + ":" + c.s.cfg.AccountID + ":" + key
}

// checkEncrypts rejects a key for an unencrypted volume or snapshot.
func checkEncrypts(key string, encrypted bool) error {
	if key != "" && !encrypted { // amazon-ebs sends an empty one
		return query.Errorf("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	return nil
}

// shareable rejects sharing if the encryption key is the account's AWS managed key.
func shareable(key string) error {
	if strings.HasSuffix(key, "alias/aws/ebs") {
		return query.Errorf("InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.")
	}
	return nil
}
