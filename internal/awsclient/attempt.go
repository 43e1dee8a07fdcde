// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// WithAttemptTimeout returns a context whose requests are sent again after d without a
// response. Otherwise one lost request takes a minute.
func WithAttemptTimeout(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, attemptKey{}, d)
}

type attemptKey struct{}

// addAttempts changes each attempt of the SDK's retries.
func addAttempts(stack *middleware.Stack) error {
	return errors.Join(limitAttempts(stack), retryCutReads(stack), retryWrongTimes(stack))
}

// retryWrongTimes makes the SDK send a request again with AWS's time if AWS rejects its
// time, such as after a jump of this machine's clock. The SDK does so by itself, except
// for the errors of EC2.
func retryWrongTimes(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("RetryWrongTimes", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleFinalize(ctx, in)
		if code := Code(err); (code == "RequestExpired" || code == "RequestInTheFuture") && Skew(metadata).Abs() > skewLimit {
			err = timeError{err}
		}
		return out, metadata, err
	}), "Retry", middleware.After)
}

// skewLimit is the difference from which AWS may reject the time of a request, with
// a margin. It is the SDK's.
const skewLimit = 4 * time.Minute

// Skew returns how far AWS's clock is ahead of this machine's, by the metadata of a
// response; 0 if unknown.
func Skew(metadata middleware.Metadata) time.Duration {
	skew, _ := awsmiddleware.GetAttemptSkew(metadata)
	return skew
}

// timeError is the rejection of a request's time. The SDK retries it.
type timeError struct{ error }

func (e timeError) Unwrap() error      { return e.error }
func (timeError) RetryableError() bool { return true }

// retryCutReads makes the SDK send a request again if its response ends early. It does
// so only for requests that change nothing: others may have succeeded, and their caller
// has to look.
func retryCutReads(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("RetryCutReads", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleFinalize(ctx, in)
		if isCut(err) && reads.MatchString(awsmiddleware.GetOperationName(ctx)) {
			err = cutError{err}
		}
		return out, metadata, err
	}), "Retry", middleware.After)
}

// isCut reports whether a response ended early.
func isCut(err error) bool {
	var cut *smithy.DeserializationError
	return errors.As(err, &cut) && Code(err) == ""
}

// reads matches the operations that change nothing.
var reads = lazyregexp.New(`^(Describe|Get|List|Head|Validate)`)

// cutError is a response that ended early. The SDK retries errors of connections.
type cutError struct{ error }

func (e cutError) Unwrap() error       { return e.error }
func (cutError) ConnectionError() bool { return true }

// limitAttempts limits the duration of each attempt.
func limitAttempts(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("AttemptTimeout", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		d, limited := ctx.Value(attemptKey{}).(time.Duration)
		if !limited {
			return next.HandleFinalize(ctx, in)
		}
		attempt, cancel := clock.WithTimeout(ctx, d)
		defer cancel()
		out, metadata, err := next.HandleFinalize(attempt, in)
		if err != nil && attempt.Err() != nil && ctx.Err() == nil {
			err = &smithyhttp.RequestSendError{Err: fmt.Errorf("no response within %s", d)} // is retried, unlike a canceled request
		}
		return out, metadata, err
	}), "Retry", middleware.After)
}
