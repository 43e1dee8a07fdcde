// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2api

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

// encodedRefusal is where a refused call has AWS's reasons, which only STS can
// read (https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html).
var encodedRefusal = lazyregexp.New(`Encoded authorization failure message: ([\w-]+)`)

// DecodeRefusals makes the clients of base have STS decode why a call was
// refused. Where STS does not, the error stays as it is.
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
		return out, metadata, decodedRefusal{
			error: err, text: clear.Replace(err.Error()),
			GenericAPIError: smithy.GenericAPIError{Code: api.ErrorCode(), Message: clear.Replace(api.ErrorMessage()), Fault: api.ErrorFault()},
		}
	})
	base.APIOptions = append(base.APIOptions[:len(base.APIOptions):len(base.APIOptions)], func(stack *middleware.Stack) error {
		return stack.Initialize.Add(decode, middleware.Before)
	})
}

// decodedRefusal says clearly what its error says in code, and is that error.
type decodedRefusal struct {
	error
	text string
	smithy.GenericAPIError
}

func (r decodedRefusal) Error() string { return r.text }
func (r decodedRefusal) Unwrap() error { return r.error }
