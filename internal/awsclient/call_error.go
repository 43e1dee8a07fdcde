// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"strings"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// callError is the error of a request, with its place and, where there is one, the
// remedy. The SDK's own text has neither, but the status and the number of attempts.
type callError struct {
	action string // such as ec2:CopyImage
	region string
	err    error // the SDK's, or this package's
}

func (e *callError) Error() string {
	switch text := Plain(e).Error(); {
	case IsUnauthorized(e):
		if encoded := encodedRefusal.FindString(e.err.Error()); encoded != "" { // `aws sts decode-authorization-message` decodes it
			text += ". " + encoded
		}
		return text
	case GaveUp(e), errors.As(e.err, new(*ExpiredError)): // they name the region, and the remedy
		return text
	case IsOutage(e), IsTransient(e):
		return fmt.Sprintf("%s: %s; try again later", e.region, text)
	default:
		return fmt.Sprintf("%s: %s", e.region, text)
	}
}

func (e *callError) Unwrap() error { return e.err }

// explain is a middleware that makes the errors of requests callErrors. It wraps the
// SDK's retries.
func explain(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Explain", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (out middleware.FinalizeOutput, metadata middleware.Metadata, err error) {
		out, metadata, err = next.HandleFinalize(ctx, in)
		if err == nil || IsDryRunPassed(err) || ctx.Err() != nil {
			return out, metadata, err
		}
		called := &callError{
			action: strings.ReplaceAll(strings.ToLower(awsmiddleware.GetServiceID(ctx)), " ", "") + ":" + awsmiddleware.GetOperationName(ctx),
			region: awsmiddleware.GetRegion(ctx), err: err,
		}
		log.Printf("[DEBUG] %s in %s: %s", called.action, called.region, err) // with the request's ID
		return out, metadata, called
	}), "WaitOut", middleware.Before)
}

// Cause returns the reason of an error in plain words, without the SDK's text.
func Cause(err error) string {
	var called *callError
	if errors.As(err, &called) {
		err = called.err
	}
	var api smithy.APIError
	var cut *smithy.DeserializationError
	var sent *url.Error
	var connection *net.OpError
	switch {
	case errors.As(err, &api):
		text, _, _ := strings.Cut(api.ErrorMessage(), " Encoded authorization failure message:")
		return api.ErrorCode() + ": " + text
	case errors.As(err, &cut):
		return "the response is incomplete"
	case errors.As(err, &connection):
		return fmt.Sprintf("%s: %s", connection.Op, connection.Err)
	case errors.As(err, &sent) && errors.Is(sent.Err, io.EOF):
		return "the connection was closed"
	case errors.As(err, &sent):
		return sent.Err.Error()
	}
	return err.Error()
}
