// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package distribute

import (
	"fmt"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// The time before the first progress line of a wait, and the longest time between
// two lines. The time doubles after each line: an hour has about six lines, a short
// wait has none.
const (
	firstLine   = time.Minute
	longestLine = 15 * time.Minute
)

// tell returns a callback for each poll result. It prints a line now and then if
// there is progress.
func tell(clock poll.Clock, say func(string)) func(poll.Forecast, time.Duration) {
	if say == nil {
		return nil
	}
	if clock == nil {
		clock = poll.Wall{}
	}
	next, between, said := firstLine, firstLine, 0
	return func(f poll.Forecast, elapsed time.Duration) {
		if elapsed < next || f.Percent() <= said {
			return
		}
		said = f.Percent()
		between = min(2*between, longestLine)
		next = elapsed + between
		say(progressLine(f, elapsed, clock.Now()))
	}
}

// progressLine formats the progress, and the expected end if known.
func progressLine(f poll.Forecast, elapsed time.Duration, now time.Time) string {
	line := fmt.Sprintf("%d %% done", f.Percent())
	_, latest, ok := f.Window()
	if !ok || latest < elapsed {
		return line
	}
	rest := (latest - elapsed).Round(time.Minute)
	if rest < time.Minute {
		return line + ", less than a minute to go"
	}
	return fmt.Sprintf("%s, about %s to go (until %s)", line, strings.TrimSuffix(rest.String(), "0s"), now.Add(rest).Format("15:04"))
}
