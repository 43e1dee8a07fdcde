// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package clock

import (
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	defer func(was time.Duration) { speed = was }(speed)
	if Fast() || Real(time.Minute) != time.Minute {
		t.Errorf("the clock of the plugin runs at %d times real time", speed)
	}
	speed = speedOf("20")
	begun, real := Now(), time.Now()
	<-After(time.Second)
	fast, slow := Since(begun), time.Since(real)
	if fast < time.Second || fast < 19*slow || fast > 21*slow {
		t.Errorf("a second took %s on the clock and %s in real time", fast, slow)
	}
	ctx, cancel := WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if end, _ := ctx.Deadline(); time.Until(end) > 3*time.Second {
		t.Errorf("a minute takes %s", time.Until(end))
	}
	for _, bad := range []string{"", "0", "-1", "1.5"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("rate %q is accepted", bad)
				}
			}()
			speedOf(bad)
		}()
	}
}
