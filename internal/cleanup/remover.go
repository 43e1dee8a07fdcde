// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cleanup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// Settling is how long EC2 may not find a new resource. AWS documents no limit;
// minutes have been observed.
const Settling = 2 * time.Minute

// removalPatience is the default of Remover.Patience.
const removalPatience = time.Minute

// Remover removes the resources of a region, or of IAM. Ledger and the client of
// the service are required; other fields have defaults.
type Remover struct {
	Client API
	IAM    IAM
	Shares ShareAPI
	Grants GrantAPI
	Ledger *Ledger
	// Settling is how long NotFound means "not yet"; 0 means the package's default.
	Settling time.Duration
	// Interval is the pause between two requests; 0 means one second.
	Interval time.Duration
	// Patience limits the retries of a removal that EC2 should accept later,
	// because the resource is still in use or not found yet; 0 means one minute.
	Patience time.Duration
	// Clock is poll.Wall unless set.
	Clock poll.Clock
}

// UnseenError is returned if EC2 never found a resource. It may not exist, or
// appear later.
type UnseenError struct {
	Entry Entry
	For   time.Duration // since its creation
}

func (e *UnseenError) Error() string {
	return fmt.Sprintf("%s did not find %s within %s of its creation; it may still appear", e.Entry.Service(), e.Entry.Label(), e.For.Round(time.Second))
}

func (r Remover) now() time.Time {
	if r.Clock == nil {
		return clock.Now()
	}
	return r.Clock.Now()
}

// since returns the time since the start of a wait, without the outages of AWS that
// it has waited out.
func (r Remover) since(ctx context.Context, begun time.Time) time.Duration {
	return r.now().Sub(begun) - awsclient.Paused(ctx)
}

func (r Remover) pause(ctx context.Context) error {
	return poll.Pause(ctx, r.Clock, cmp.Or(r.Interval, time.Second))
}

func (r Remover) settling() time.Duration {
	if r.Settling == 0 {
		return Settling
	}
	return r.Settling
}

func (r Remover) patience() time.Duration {
	if r.Patience == 0 {
		return removalPatience
	}
	return r.Patience
}

// Remove removes a resource, an image with its snapshots. It waits until the
// resource no longer exists, and strikes it from the ledger. On an error, the
// ledger keeps the remaining resources.
func (r Remover) Remove(ctx context.Context, e Entry) error {
	ctx = awsclient.WaitOut(ctx)
	if e.Kind == Image {
		return r.removeImage(ctx, e)
	}
	return r.remove(ctx, e, r.call(e))
}

// Begin requests the removal of a resource, and returns once EC2 has accepted it.
// Await waits for the removal, which takes a minute for an instance.
func (r Remover) Begin(ctx context.Context, e Entry) error {
	_, err := r.begin(ctx, e, r.call(e))
	return err
}

// Await waits until a resource no longer exists after EC2 has accepted its
// removal, and strikes it from the ledger.
func (r Remover) Await(ctx context.Context, e Entry) error {
	ctx = awsclient.WaitOut(ctx)
	seen, begun := e.Seen, r.now()
	for {
		there, err := r.look(ctx, e)
		switch {
		case awsclient.IsUnauthorized(err): // rely on the response to the removal
			there = absent
		case err != nil && !retryable(err):
			return err
		case err != nil:
			there = ending
		}
		seen = seen || there != absent
		// EC2 returns a terminated instance for an hour, so one that is not found is
		// not yet visible.
		young := !seen && e.Kind == Instance && r.young(e)
		if there == absent && !young || there == ended {
			r.Ledger.Strike(e)
			return nil
		}
		if e.Kind != Instance && r.since(ctx, begun) >= r.patience() {
			return fmt.Errorf("%s accepted the removal of %s, but still returns it", e.Service(), e.Label())
		}
		if ctx.Err() != nil || r.pause(ctx) != nil {
			return fmt.Errorf("waiting for the removal of %s: %w", e.Label(), ctx.Err())
		}
	}
}

// young reports whether EC2 may not find the resource yet.
func (r Remover) young(e Entry) bool {
	made := r.Ledger.Made(e)
	return !made.IsZero() && r.now().Sub(made) < r.settling()
}

// remove requests a removal and waits for it.
func (r Remover) remove(ctx context.Context, e Entry, do func(context.Context) (bool, error)) error {
	gone, err := r.begin(ctx, e, do)
	if err != nil {
		return err
	}
	if gone {
		r.Ledger.Strike(e)
		return nil
	}
	return r.Await(ctx, e)
}

// begin calls do until EC2 has accepted the removal, or the resource no longer
// exists.
func (r Remover) begin(ctx context.Context, e Entry, do func(context.Context) (accepted bool, err error)) (gone bool, err error) {
	ctx = awsclient.WaitOut(ctx)
	seen, begun := e.Seen, r.now()
	for {
		late := r.since(ctx, begun) >= r.patience() // before the request, so that a slow response is not the last
		accepted, err := do(ctx)
		switch {
		case accepted && err == nil:
			return false, nil
		case awsclient.IsUnauthorized(err) && r.invisible(ctx, e):
			// With a condition on tags, a policy denies what EC2 would not find.
		case err != nil && !awsclient.IsNotFound(err) && !isHeld(err) && !retryable(err):
			return false, err
		}
		if isHeld(err) || retryable(err) {
			if late {
				return false, err
			}
		} else if there, lookErr := r.look(ctx, e); lookErr == nil || awsclient.IsUnauthorized(lookErr) {
			switch {
			case there == ended, there == absent && (seen || lookErr != nil && !r.young(e)):
				return true, nil
			case there != absent && late && seen: // what appeared after the request has not refused one
				return false, errors.Join(err, fmt.Errorf("%s returns %s, but does not remove it", e.Service(), e.Label()))
			case there == absent && !r.young(e):
				made := r.Ledger.Made(e)
				if made.IsZero() {
					return true, nil // of unknown age, and not found
				}
				return false, &UnseenError{e, r.now().Sub(made)}
			}
			seen = seen || there != absent
		} else if late || !retryable(lookErr) && !awsclient.IsNotFound(lookErr) {
			return false, lookErr
		}
		if r.pause(ctx) != nil {
			return false, errors.Join(ctx.Err(), err)
		}
	}
}

// invisible reports whether EC2 does not return the resource.
func (r Remover) invisible(ctx context.Context, e Entry) bool {
	there, err := r.look(ctx, e)
	return err == nil && (there == absent || there == ended)
}

// retryable reports whether the same request may succeed later.
func retryable(err error) bool {
	return err != nil && !errors.Is(err, errShared) && !awsclient.GaveUp(err) && (awsclient.IsTransient(err) || awsclient.IsUnanswered(err)) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// isHeld reports whether another resource uses this one, possibly not for long.
func isHeld(err error) bool {
	switch awsclient.Code(err) {
	case "DependencyViolation", "InvalidGroup.InUse", "InvalidSnapshot.InUse", "VolumeInUse", "DeleteConflict":
		return true
	}
	return false
}
