// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

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

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type keyPair struct {
	KeyPairID   string  `xml:"keyPairId"`
	Kind        string  `xml:"keyType"`
	Tags        tagList `xml:"tagSet"`
	PublicKey   string  `xml:"publicKey,omitempty"`
	Created     string  `xml:"createTime"`
	Name        string  `xml:"keyName"`
	Fingerprint string  `xml:"keyFingerprint"`

	born time.Time
}

func (c *call) key(name string) (*keyPair, error) {
	if k, ok := c.r.keys.get(name); ok {
		return k, nil
	}
	return nil, query.Errorf("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

type keyAnswer struct {
	ID          string  `xml:"keyPairId"`
	Tags        tagList `xml:"tagSet"`
	Name        string  `xml:"keyName"`
	Fingerprint string  `xml:"keyFingerprint"`
	Material    string  `xml:"keyMaterial,omitempty"`
}

func createKeyPair(c *call) (any, error) {
	kind := c.p.Or("KeyType", "rsa")
	if kind != "rsa" && kind != "ed25519" {
		return nil, query.Errorf("InvalidParameterValue", "Value (%s) for parameter KeyType is invalid. Valid values are rsa and ed25519.", kind)
	}
	if format := c.p.Or("KeyFormat", "pem"); format != "pem" {
		return nil, query.Errorf("InvalidParameterValue", "The rehearsal makes keys in the pem format only, not in %s.", format)
	}
	return c.addKey(kind, func() (public ssh.PublicKey, fingerprint, material string, err error) { return newKey(kind) })
}

func importKeyPair(c *call) (any, error) {
	blob, err := c.p.Blob("PublicKeyMaterial")
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

// addKey adds the key pair that the request names.
func (c *call) addKey(kind string, make func() (ssh.PublicKey, string, string, error)) (any, error) {
	name := c.p.Get("KeyName")
	if name == "" || len(name) > 255 {
		return nil, query.Errorf("InvalidParameterValue", "Invalid value '%s' for keyPairName. Character sets beyond ASCII are not supported, the length is 1 to 255.", name)
	}
	if _, ok := c.r.keys.get(name); ok {
		return nil, query.Errorf("InvalidKeyPair.Duplicate", "The keypair already exists")
	}
	tags, err := c.tagsFor("key-pair")
	if err != nil {
		return nil, err
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	public, fingerprint, material, err := make()
	if err != nil {
		return nil, err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " " + name
	k := &keyPair{c.s.ids.next("key"), kind, tags, line, stamp(c.now), name, fingerprint, c.now}
	c.r.keys.put(name, k)
	return keyAnswer{k.KeyPairID, k.Tags, k.Name, k.Fingerprint, material}, nil
}

// newKey makes a key pair: RSA of 2048 bits as PKCS #1, or Ed25519 in
// OpenSSH's format, each as EC2 hands them out.
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

func describeKeyPairs(c *call) (any, error) {
	names, ids := c.p.List("KeyName"), c.p.List("KeyPairId")
	for _, name := range names {
		if _, err := c.key(name); err != nil {
			return nil, err
		}
	}
	var out query.Set[keyPair]
	seen := 0
	for _, k := range c.r.keys.all() {
		if len(ids) > 0 && contains(ids, k.KeyPairID) {
			seen++
		}
		ok, err := c.matches(k.Tags, func(name string) ([]string, bool) {
			value, ok := map[string]string{"key-name": k.Name, "key-pair-id": k.KeyPairID, "fingerprint": k.Fingerprint}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && contains(names, k.Name) && contains(ids, k.KeyPairID) {
			shown := *k
			if !c.p.Bool("IncludePublicKey", false) {
				shown.PublicKey = ""
			}
			out.Items = append(out.Items, shown)
		}
	}
	if seen < len(ids) {
		return nil, query.Errorf("InvalidKeyPair.NotFound", "The key pair ID(s) '%s' do not exist", strings.Join(ids, ", "))
	}
	return struct {
		Keys query.Set[keyPair] `xml:"keySet"`
	}{out}, nil
}

func deleteKeyPair(c *call) (any, error) {
	name, id := c.p.Get("KeyName"), c.p.Get("KeyPairId")
	if name == "" && id == "" {
		return nil, query.Errorf("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
	}
	if err := c.commit(); err != nil {
		return nil, err
	}
	answer := struct {
		Return bool   `xml:"return"`
		ID     string `xml:"keyPairId,omitempty"`
	}{Return: true} // also where there is no such key
	for _, k := range c.r.keys.all() {
		if k.Name == name || k.KeyPairID == id {
			c.r.keys.remove(k.Name)
			answer.ID = k.KeyPairID
		}
	}
	return answer, nil
}
