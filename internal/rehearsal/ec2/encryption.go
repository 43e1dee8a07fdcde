// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

// Encryption by default is a setting of an account in a region: every new
// volume and every copy of a snapshot is encrypted then.

type encryption struct {
	on  bool
	key string // empty is AWS's
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
	if err := c.commit(); err != nil {
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

func modifyDefaultKey(c *call) (any, error) { return c.setDefaultKey(c.p.Get("KmsKeyId")) }
func resetDefaultKey(c *call) (any, error)  { return c.setDefaultKey("") }

func (c *call) setDefaultKey(key string) (any, error) {
	if err := c.commit(); err != nil {
		return nil, err
	}
	c.r.encryption.key = key
	return defaultKey{c.kmsArn(true, "")}, nil
}
