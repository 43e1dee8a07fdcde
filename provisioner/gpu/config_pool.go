// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:generate packer-sdc struct-markdown
//go:generate packer-sdc mapstructure-to-hcl2 -type PoolCheck

package gpu

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// PoolCheck is a `pool_check` block: after the gate the miner mines at your pool
// until one share is accepted. That proves what no benchmark can: that the pool
// takes what this miner finds.
type PoolCheck struct {
	// Where the pool is, without a user, such as
	// `stratum1+tcp://etc.example.org:4444`. The schemes are ethminer's:
	// `stratum`, `stratum1`, `stratum2` or `stratum3`, with `+tcp`, `+tls`,
	// `+tls12` or `+ssl`.
	Pool string `mapstructure:"pool" required:"true"`
	// The wallet, or the user of the pool, that the share is mined for.
	Wallet string `mapstructure:"wallet" required:"true"`
	// The name of the worker. Defaults to `packer`.
	Worker string `mapstructure:"worker" required:"false"`
	// The password, where the pool wants one. While the check runs it is in the
	// instance's list of processes, since ethminer takes it in no other way; it is
	// never in the image.
	Password string `mapstructure:"password" required:"false"`
	// How long it may take until a share is accepted. A pool's difficulty over
	// the hash rate is how long one takes on average, and one in twenty takes
	// three times as long. From `1s` to `1h`. Defaults to `10m`.
	Timeout string `mapstructure:"timeout" required:"false"`

	timeout time.Duration
}

// defaultPoolTimeout is PoolCheck's.
const defaultPoolTimeout = 10 * time.Minute

var poolScheme = lazyregexp.New(`^stratum[123]?(\+(tcp|tls|tls12|ssl))?$`)

// check collects what is wrong; nil stands for no block.
func (c *PoolCheck) check() error {
	if c == nil {
		return nil
	}
	var errs []error
	if err := checkPool(c.Pool); err != nil {
		errs = append(errs, err)
	}
	if c.Wallet == "" {
		errs = append(errs, errors.New("pool_check: wallet is missing; expected the wallet or user that the share is mined for"))
	}
	if c.Worker == "" {
		c.Worker = "packer"
	}
	errs = append(errs, checkDuration("pool_check: timeout", c.Timeout, defaultPoolTimeout, time.Second, &c.timeout))
	return errors.Join(errs...)
}

func checkPool(text string) error {
	if text == unknown {
		return nil
	}
	const expected = "expected a scheme, a host and a port, such as \"stratum1+tcp://etc.example.org:4444\""
	shown := text[strings.LastIndex(text, "@")+1:] // what is before it may be a password
	if shown != text {
		return fmt.Errorf("pool_check: pool \"...@%s\": has a user in it; give that as wallet, worker and password", shown)
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

// where is the pool's host and port.
func (c *PoolCheck) where() string {
	u, err := url.Parse(c.Pool)
	if err != nil {
		return c.Pool
	}
	return net.JoinHostPort(u.Hostname(), u.Port())
}

// url is what the miner's -P takes.
func (c *PoolCheck) url() string {
	user := escapePart(c.Wallet) + "." + escapePart(c.Worker)
	if c.Password != "" {
		user += ":" + escapePart(c.Password)
	}
	scheme, rest, _ := strings.Cut(c.Pool, "://")
	return scheme + "://" + user + "@" + rest
}

// secrets are what no line may hold: the password, as it is and as it is passed.
func (c *PoolCheck) secrets() []string {
	if c.Password == "" {
		return nil
	}
	return []string{escapePart(c.Password), c.Password}
}

// escapePart writes all but letters and digits as %XX: of the marks, ethminer
// splits its user at some, and gives others a meaning.
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
