// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"errors"
	"log"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/eth-mining/packer-plugin-ethminer/internal/lazyregexp"
)

// encodedRefusal matches the encoded reason of a denied request, which STS decodes
// (https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html).
var encodedRefusal = lazyregexp.New(`Encoded authorization failure message: ([\w-]+)`)

// DecodeRefusals makes the clients of base decode the reason of a denied request
// with STS. If STS fails, the error is unchanged.
func DecodeRefusals(base *aws.Config) {
	decoder := sts.NewFromConfig(*base)
	decode := middleware.InitializeMiddlewareFunc("DecodeRefusals", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
		middleware.InitializeOutput, middleware.Metadata, error,
	) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		var api smithy.APIError
		if !errors.As(err, &api) {
			return out, metadata, err
		}
		found := encodedRefusal.FindStringSubmatch(api.ErrorMessage())
		if found == nil {
			return out, metadata, err
		}
		answer, failure := decoder.DecodeAuthorizationMessage(ctx, &sts.DecodeAuthorizationMessageInput{EncodedMessage: aws.String(found[1])})
		if failure != nil {
			log.Printf("[WARN] decode_authorization_messages: %s", failure)
			return out, metadata, err
		}
		clear := strings.NewReplacer(found[0], "Authorization failure message: "+aws.ToString(answer.DecodedMessage))
		return out, metadata, decodedError{
			error: err, text: clear.Replace(err.Error()),
			GenericAPIError: smithy.GenericAPIError{Code: api.ErrorCode(), Message: clear.Replace(api.ErrorMessage()), Fault: api.ErrorFault()},
		}
	})
	base.APIOptions = append(base.APIOptions[:len(base.APIOptions):len(base.APIOptions)], func(stack *middleware.Stack) error {
		return stack.Initialize.Add(decode, middleware.Before)
	})
}

// decodedError wraps an error and adds the decoded reason.
type decodedError struct {
	error
	text string
	smithy.GenericAPIError
}

func (r decodedError) Error() string { return r.text }
func (r decodedError) Unwrap() error { return r.error }
