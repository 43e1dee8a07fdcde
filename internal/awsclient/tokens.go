// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/middleware"

	"github.com/eth-mining/packer-plugin-ethminer/internal/redact"
)

// hideTokens redacts the tokens of Session Manager: packer-plugin-amazon logs the command
// line of session-manager-plugin, which contains the token.
func hideTokens(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("ethminer.HideTokens",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleInitialize(ctx, in)
			if session, ok := out.Result.(*ssm.StartSessionOutput); ok && session != nil {
				redact.Add(aws.ToString(session.TokenValue))
			}
			return out, metadata, err
		}), middleware.Before)
}
