// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// otherClock is AWS with a clock that differs from this machine's from a call on. Like
// AWS, it rejects requests with another time, and tells its own in each response.
type otherClock struct {
	*world
	ahead    time.Duration
	from     int32
	calls    atomic.Int32
	rejected atomic.Int32
}

// newOtherClock returns the clock of a world, and lets its server have the same.
func newOtherClock(t *testing.T, ahead time.Duration, from int32) *otherClock {
	t.Helper()
	c := &otherClock{ahead: ahead, from: from}
	c.world = newWorldOf(t, rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", SignedAt: c.now})
	c.transport = c
	return c
}

func (c *otherClock) now() time.Time {
	if c.calls.Load() >= c.from {
		return time.Now().Add(c.ahead)
	}
	return time.Now()
}

func (c *otherClock) RoundTrip(r *http.Request) (*http.Response, error) {
	c.calls.Add(1)
	now := c.now()
	signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return nil, err
	}
	var answer *http.Response
	if signed.Sub(now).Abs() > 5*time.Minute {
		c.rejected.Add(1)
		text := `<Response><Errors><Error><Code>RequestExpired</Code><Message>Request has expired.</Message></Error></Errors></Response>`
		if strings.Contains(r.Header.Get("Authorization"), "/sts/") {
			text = `<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired</Message></Error></ErrorResponse>`
		}
		answer = &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(text))}
	} else if answer, err = c.world.RoundTrip(r); err != nil {
		return nil, err
	}
	answer.Header.Set("Date", now.UTC().Format(http.TimeFormat))
	return answer, nil
}

// TestClockJump: the machine's clock jumps during the build, by the most that a wrong
// time zone makes. The build continues with AWS's time.
func TestClockJump(t *testing.T) {
	for _, ahead := range []time.Duration{-12 * time.Hour, 12 * time.Hour} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			clean := newWorld(t)
			if _, err := clean.build(t, t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			for _, share := range []int{4, 2} { // of the calls before the jump
				c := newOtherClock(t, ahead, int32(clean.calls-clean.calls/share))
				w := c.world
				if _, err := w.build(t, t.Context(), nil); err != nil {
					t.Errorf("after %d of %d calls: %v\n%s", c.from, clean.calls, err, w.ui.String())
				}
				if c.rejected.Load() == 0 {
					t.Error("AWS has rejected no request")
				}
			}
		})
	}
}

// TestWrongClock: a wrong clock at the start is an error of the preflight, because the
// tags by which others remove what has expired would be wrong.
func TestWrongClock(t *testing.T) {
	for ahead, want := range map[time.Duration]string{
		7 * time.Hour:      " behind AWS's, want a difference of at most 5m0s; set the clock",
		-7 * time.Hour:     " ahead of AWS's, want a difference of at most 5m0s; set the clock",
		4 * time.Minute:    "",
		-290 * time.Second: "",
	} {
		w := newOtherClock(t, ahead, 0).world
		_, err := w.build(t, t.Context(), nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", ahead, err, want)
		}
		if left := w.left(); want != "" && len(left) > 0 {
			t.Errorf("%s: left %s", ahead, left)
		}
	}
}
