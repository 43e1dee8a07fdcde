// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type PoolCheck

// Package poolcheck holds the block pool_check: a pool at which a miner shows that its
// shares are accepted.
package poolcheck

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hclvalue"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// PoolCheck is a `pool_check` block: the miner mines at your pool until the pool
// accepts one share. This shows that the pool accepts this miner's work, which a
// benchmark cannot show.
type PoolCheck struct {
	// The URL of the pool, without a user, such as
	// `stratum1+tcp://etc.example.org:4444`. The schemes are ethminer's:
	// `stratum`, `stratum1`, `stratum2` or `stratum3`, with `+tcp`, `+tls`,
	// `+tls12` or `+ssl`.
	Pool string `mapstructure:"pool" required:"true"`
	// The wallet or pool user to mine the share for.
	Wallet string `mapstructure:"wallet" required:"true"`
	// The name of the worker. Defaults to `packer`.
	Worker string `mapstructure:"worker" required:"false"`
	// The password, if the pool requires one. During the check it is visible in
	// the instance's process list, since ethminer accepts it only as an argument.
	// It is never part of the image. Not set by default.
	Password string `mapstructure:"password" required:"false"`
	// The maximum time until the pool accepts a share. The average time per share
	// is the pool's difficulty divided by the hash rate; one share in twenty takes
	// three times as long. From `1s` to `1h`. Defaults to `10m`.
	Timeout string `mapstructure:"timeout" required:"false"`

	timeout time.Duration
}

// defaultPoolTimeout is the default of PoolCheck.Timeout.
const defaultPoolTimeout = 10 * time.Minute

var poolScheme = lazyregexp.New(`^stratum[123]?(\+(tcp|tls|tls12|ssl))?$`)

// Prepare sets defaults and returns all errors of the block; nil means no block.
func (c *PoolCheck) Prepare() error {
	if c == nil {
		return nil
	}
	var errs []error
	if err := checkPool(c.Pool); err != nil {
		errs = append(errs, err)
	}
	if c.Wallet == "" {
		errs = append(errs, errors.New("pool_check: wallet is missing; expected the wallet or pool user to mine for"))
	}
	if c.Worker == "" {
		c.Worker = "packer"
	}
	errs = append(errs, hclvalue.Duration("pool_check: timeout", c.Timeout, defaultPoolTimeout, time.Second, &c.timeout))
	return errors.Join(errs...)
}

func checkPool(text string) error {
	if text == hclvalue.Unknown {
		return nil
	}
	const expected = "expected a scheme, a host and a port, such as \"stratum1+tcp://etc.example.org:4444\""
	shown := text[strings.LastIndex(text, "@")+1:] // the part before it may be a password
	if shown != text {
		return fmt.Errorf("pool_check: pool \"...@%s\": contains a user; set that as wallet, worker and password", shown)
	}
	u, err := url.Parse(text)
	if err != nil || !poolScheme.MatchString(u.Scheme) || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("pool_check: pool %q: %s", text, expected)
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
		return fmt.Errorf("pool_check: pool %q: %s", text, expected)
	}
	return nil
}

// MaxTime returns the parsed timeout.
func (c *PoolCheck) MaxTime() time.Duration { return c.timeout }

// Where returns the pool's host and port.
func (c *PoolCheck) Where() string {
	u, err := url.Parse(c.Pool)
	if err != nil {
		return c.Pool
	}
	return net.JoinHostPort(u.Hostname(), u.Port())
}

// URL returns the argument of the miner's -P.
func (c *PoolCheck) URL() string {
	user := escapePart(c.Wallet) + "." + escapePart(c.Worker)
	if c.Password != "" {
		user += ":" + escapePart(c.Password)
	}
	scheme, rest, _ := strings.Cut(c.Pool, "://")
	return scheme + "://" + user + "@" + rest
}

// Secrets returns the texts to redact in output: wallet and password, plain and escaped.
func (c *PoolCheck) Secrets() []string {
	if c == nil {
		return nil
	}
	return []string{c.Wallet, escapePart(c.Wallet), c.Password, escapePart(c.Password)}
}

// escapePart writes all characters but letters and digits as %XX, since ethminer
// splits the user at some characters and interprets others.
func escapePart(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}
