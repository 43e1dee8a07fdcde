// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
)

// OutageLimit is how long requests of a context of WaitOut wait for AWS to answer
// again.
const OutageLimit = 15 * time.Minute

// Pauses between the requests of an outage, each after the SDK's own retries, and
// the duration after which an outage is reported.
const (
	outagePause     = time.Second
	outageLastPause = 15 * time.Second
	outageReported  = 30 * time.Second
)

// OutageError is returned after OutageLimit without an answer from a service in a
// region.
type OutageError struct {
	Operation, Region string
	For               time.Duration
	Err               error // of the last request
}

func (e *OutageError) Error() string {
	return fmt.Sprintf("AWS has not answered %s in %s for %s (%s); see the AWS Health Dashboard, then try again", e.Operation, e.Region, plainDuration(e.For), Cause(e.Err))
}

func (e *OutageError) Unwrap() error { return e.Err }

// GaveUp reports whether the request has waited for the end of an outage without a result,
// so that a retry makes no sense.
func GaveUp(err error) bool {
	var outage *OutageError
	return errors.As(err, &outage)
}

// IsOutage reports whether AWS did not answer, or not with an answer of the
// service: no connection, no name, a timeout, a truncated response, or a server
// error.
func IsOutage(err error) bool {
	if err == nil || IsLaunchRefusal(err) || IsThrottle(err) {
		return false
	}
	var unsent *smithyhttp.RequestSendError
	var cut *smithy.DeserializationError
	var answer *smithyhttp.ResponseError
	status := 0
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	switch {
	case status == http.StatusNotImplemented: // a compatible endpoint without the action
		return false
	case status >= http.StatusInternalServerError, errors.As(err, &unsent):
		return true
	}
	return errors.As(err, &cut) && Code(err) == "" && status < http.StatusBadRequest
}

// WaitOut returns a context for waiting: its requests are repeated during an
// outage, for up to OutageLimit since its start. A request that ignores the cancel
// of the context (context.WithoutCancel) is not repeated after it.
func WaitOut(ctx context.Context) context.Context {
	outer, _ := ctx.Value(waitKey{}).(*waiting)
	return context.WithValue(ctx, waitKey{}, &waiting{done: ctx.Done(), outer: outer})
}

// WaitsOut reports whether the context is one of WaitOut.
func WaitsOut(ctx context.Context) bool { return ctx.Value(waitKey{}) != nil }

// Paused returns how long the requests of a context of WaitOut have waited for the
// end of outages. This time does not count against the timeout of a wait.
func Paused(ctx context.Context) time.Duration {
	if w, ok := ctx.Value(waitKey{}).(*waiting); ok {
		return time.Duration(w.paused.Load())
	}
	return 0
}

type waitKey struct{}

// waiting is a context of WaitOut.
type waiting struct {
	done   <-chan struct{}
	outer  *waiting
	paused atomic.Int64
}

func (w *waiting) add(d time.Duration) {
	for ; w != nil; w = w.outer {
		w.paused.Add(int64(d))
	}
}

// pause waits for d, and reports whether another request makes sense.
func (w *waiting) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(clock.Real(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-w.done:
		return false
	case <-timer.C:
		return true
	}
}

// outages are the services and regions that do not answer. All requests to a
// service in a region share its outage: its report and its limit.
type outages struct {
	pause, lastPause, reported, limit time.Duration

	mu    sync.Mutex
	say   func(string)
	since map[place]time.Time
	told  map[place]bool
}

// place is a service in a region.
type place struct{ service, region string }

func newOutages() *outages {
	return &outages{
		pause: outagePause, lastPause: outageLastPause, reported: outageReported, limit: OutageLimit,
		say: func(string) {}, since: map[place]time.Time{}, told: map[place]bool{},
	}
}

// ReportOutages sets where the lines about outages go: one when an outage has
// lasted for a while, and one at its end. It returns the clients.
func (c *Clients) ReportOutages(say func(string)) *Clients {
	c.outages.mu.Lock()
	defer c.outages.mu.Unlock()
	c.outages.say = say
	return c
}

// OutagePace sets the pauses between requests and the limit of an outage, for
// tests.
func (c *Clients) OutagePace(pause, reported, limit time.Duration) {
	o := c.outages
	o.pause, o.lastPause, o.reported, o.limit = pause, pause, reported, limit
}

// add wraps the SDK's retries of each request.
func (o *outages) add(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("WaitOut", o.handle), "Retry", middleware.Before)
}

func (o *outages) handle(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	out middleware.FinalizeOutput, metadata middleware.Metadata, err error,
) {
	at := place{awsmiddleware.GetServiceID(ctx), awsmiddleware.GetRegion(ctx)}
	operation := awsmiddleware.GetOperationName(ctx)
	waiting, waits := ctx.Value(waitKey{}).(*waiting)
	begun := clock.Now()
	for try := 1; ; try++ {
		out, metadata, err = next.HandleFinalize(ctx, in)
		switch {
		case ctx.Err() != nil:
			return out, metadata, err
		case !IsOutage(err):
			if err == nil || Code(err) != "" {
				o.answered(at, operation)
			}
			if try > 1 {
				waiting.add(clock.Since(begun))
			}
			return out, metadata, err
		case !waits:
			return out, metadata, err
		}
		since := o.unanswered(at, operation, begun)
		if since >= o.limit {
			waiting.add(clock.Since(begun))
			return out, metadata, &OutageError{Operation: operation, Region: at.region, For: since, Err: err}
		}
		if !waiting.pause(ctx, min(max(o.pause, since/8), o.lastPause, o.limit-since)) || rewind(in.Request) != nil {
			return out, metadata, err
		}
	}
}

// rewind prepares a request to be sent again.
func rewind(request any) error {
	if r, ok := request.(*smithyhttp.Request); ok {
		return r.RewindStream()
	}
	return nil
}

// unanswered notes a request without an answer, which has begun at a time, and
// returns the duration of the outage.
func (o *outages) unanswered(at place, operation string, begun time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since[at].IsZero() {
		o.since[at] = begun
	}
	lasts := clock.Since(o.since[at])
	if lasts >= o.reported && lasts < o.limit && !o.told[at] {
		o.told[at] = true
		o.say(fmt.Sprintf("AWS has not answered %s in %s for %s; waiting up to %s", operation, at.region, plainDuration(lasts), plainDuration(o.limit)))
	}
	return lasts
}

// answered notes the end of an outage.
func (o *outages) answered(at place, operation string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	since, was := o.since[at]
	if !was {
		return
	}
	if o.told[at] {
		o.say(fmt.Sprintf("AWS answers %s in %s again, after %s", operation, at.region, plainDuration(clock.Since(since))))
	}
	delete(o.since, at)
	delete(o.told, at)
}

// plainDuration writes a duration as in "40 s" and "15 min".
func plainDuration(d time.Duration) string {
	d = d.Round(time.Second)
	switch minutes, seconds := d/time.Minute, d%time.Minute/time.Second; {
	case minutes == 0:
		return fmt.Sprintf("%d s", seconds)
	case seconds == 0:
		return fmt.Sprintf("%d min", minutes)
	default:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	}
}
