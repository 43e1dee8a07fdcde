// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package network

import (
	"bytes"
	"crypto/ed25519"
	"crypto/md5" //nolint:gosec // EC2's fingerprints are MD5 and SHA-1
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// KeyPair is a key pair for logins.
type KeyPair struct {
	KeyPairID   string      `xml:"keyPairId"`
	Kind        string      `xml:"keyType"`
	Tags        api.TagList `xml:"tagSet"`
	PublicKey   string      `xml:"publicKey,omitempty"`
	Created     string      `xml:"createTime"`
	Name        string      `xml:"keyName"`
	Fingerprint string      `xml:"keyFingerprint"`

	createdAt time.Time
}

// Key returns the key pair of that name.
func (c *Call) Key(name string) (*KeyPair, error) {
	if k, ok := c.Net.Keys.Get(name); ok && !c.IsNew(k.createdAt) {
		return k, nil
	}
	return nil, query.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

type keyResponse struct {
	ID          string      `xml:"keyPairId"`
	Tags        api.TagList `xml:"tagSet"`
	Name        string      `xml:"keyName"`
	Fingerprint string      `xml:"keyFingerprint"`
	Material    string      `xml:"keyMaterial,omitempty"`
}

func createKeyPair(c *Call) (any, error) {
	kind := c.Params.Or("KeyType", "rsa")
	if kind != "rsa" && kind != "ed25519" {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter KeyType is invalid. Valid values are rsa and ed25519.", kind)
	}
	if format := c.Params.Or("KeyFormat", "pem"); format != "pem" {
		return nil, query.Errorf("InvalidParameterValue", "The rehearsal supports only the key format pem, not %s.", format)
	}
	return c.addKey(kind, func() (public ssh.PublicKey, fingerprint, material string, err error) { return newKey(kind) })
}

func importKeyPair(c *Call) (any, error) {
	blob, err := c.Params.Blob("PublicKeyMaterial")
	if err != nil {
		return nil, err
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(blob)
	if err != nil {
		return nil, query.Errorf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
	var kind, fingerprint string
	switch public.Type() {
	case ssh.KeyAlgoRSA:
		der, err := x509.MarshalPKIXPublicKey(public.(ssh.CryptoPublicKey).CryptoPublicKey())
		if err != nil {
			return nil, err
		}
		sum := md5.Sum(der) //nolint:gosec // as EC2 does
		kind, fingerprint = "rsa", colons(sum[:])
	case ssh.KeyAlgoED25519:
		kind, fingerprint = "ed25519", sha256Print(public)
	default:
		return nil, query.Errorf("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
	}
	return c.addKey(kind, func() (ssh.PublicKey, string, string, error) { return public, fingerprint, "", nil })
}

// addKey stores the key pair named in the request.
func (c *Call) addKey(kind string, make func() (ssh.PublicKey, string, string, error)) (any, error) {
	name := c.Params.Get("KeyName")
	if name == "" || len(name) > 255 {
		return nil, query.Errorf("InvalidParameterValue", "Invalid value '%s' for keyPairName. Character sets beyond ASCII are not supported, the length is 1 to 255.", name)
	}
	if _, ok := c.Net.Keys.Get(name); ok {
		return nil, query.Errorf("InvalidKeyPair.Duplicate", "The keypair already exists")
	}
	tags, err := c.TagsFor("key-pair")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	public, fingerprint, material, err := make()
	if err != nil {
		return nil, err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " " + name
	k := &KeyPair{c.IDs.Next("key"), kind, tags, line, api.Stamp(c.Now), name, fingerprint, c.Now}
	c.Net.Keys.Put(name, k)
	return keyResponse{k.KeyPairID, k.Tags, k.Name, k.Fingerprint, material}, nil
}

// newKey generates a key pair in EC2's formats: RSA of 2048 bits as PKCS #1, or Ed25519
// in OpenSSH's format.
func newKey(kind string) (public ssh.PublicKey, fingerprint, material string, err error) {
	if kind == "ed25519" {
		pub, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, "", "", err
		}
		block, err := ssh.MarshalPrivateKey(private, "")
		if err != nil {
			return nil, "", "", err
		}
		public, err := ssh.NewPublicKey(pub)
		if err != nil {
			return nil, "", "", err
		}
		return public, sha256Print(public), string(pem.EncodeToMemory(block)), nil
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, "", "", err
	}
	public, err = ssh.NewPublicKey(&private.PublicKey)
	sum := sha1.Sum(pkcs8) //nolint:gosec // as EC2 does
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}
	return public, colons(sum[:]), string(bytes.TrimSpace(pem.EncodeToMemory(block))), err
}

func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, ":")
}

func sha256Print(k ssh.PublicKey) string {
	sum := sha256.Sum256(k.Marshal())
	return base64.StdEncoding.EncodeToString(sum[:])
}

func describeKeyPairs(c *Call) (any, error) {
	names, ids := c.Params.List("KeyName"), c.Params.List("KeyPairId")
	for _, name := range names {
		if _, err := c.Key(name); err != nil {
			return nil, err
		}
	}
	var out query.Set[KeyPair]
	seen := 0
	for _, k := range c.Net.Keys.All() {
		if c.IsNew(k.createdAt) {
			continue
		}
		if len(ids) > 0 && api.Contains(ids, k.KeyPairID) {
			seen++
		}
		ok, err := c.Matches(k.Tags, func(name string) ([]string, bool) {
			value, ok := map[string]string{"key-name": k.Name, "key-pair-id": k.KeyPairID, "fingerprint": k.Fingerprint}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && api.Contains(names, k.Name) && api.Contains(ids, k.KeyPairID) {
			shown := *k
			if !c.Params.Bool("IncludePublicKey", false) {
				shown.PublicKey = ""
			}
			out.Items = append(out.Items, shown)
		}
	}
	if seen < len(ids) {
		return nil, query.Errorf("InvalidKeyPair.NotFound", "The key pair ID(s) '%s' do not exist", strings.Join(ids, ", "))
	}
	return struct {
		Keys query.Set[KeyPair] `xml:"keySet"`
	}{out}, nil
}

func deleteKeyPair(c *Call) (any, error) {
	name, id := c.Params.Get("KeyName"), c.Params.Get("KeyPairId")
	if name == "" && id == "" {
		return nil, query.Errorf("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	answer := struct {
		Return bool   `xml:"return"`
		ID     string `xml:"keyPairId,omitempty"`
	}{Return: true} // EC2 also returns true for a missing key pair
	for _, k := range c.Net.Keys.All() {
		if (k.Name == name || k.KeyPairID == id) && !c.IsNew(k.createdAt) {
			c.Net.Keys.Remove(k.Name)
			answer.ID = k.KeyPairID
		}
	}
	return answer, nil
}
