// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
)

// ExpiredError is returned if the credentials have expired, and their source has no
// new ones.
type ExpiredError struct {
	Source string // such as EnvConfigCredentials
	Err    error  // AWS's, or the source's
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("credentials: got expired ones from %s (%s), want valid ones; %s", describeSource(e.Source), Plain(e.Err), renewal(e.Source))
}

func (e *ExpiredError) Unwrap() error { return e.Err }

// IsExpired reports whether AWS rejects temporary credentials as they have expired.
// EC2 returns RequestExpired, which is also its error for a wrong clock.
func IsExpired(err error) bool {
	switch Code(err) {
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired":
		return true
	}
	return false
}

// describeSource describes a source of the SDK for messages.
func describeSource(source string) string {
	name, file, _ := strings.Cut(source, ": ")
	switch name {
	case "EnvConfigCredentials":
		return "the environment (AWS_SESSION_TOKEN)"
	case "SharedConfigCredentials":
		return "the profile's session token in " + file
	case "StaticCredentials":
		return "token, or vault_aws_engine"
	case "AssumeRoleProvider":
		return "an assumed role"
	case "SSOProvider":
		return "IAM Identity Center (SSO)"
	case "ProcessProvider":
		return "credential_process"
	case "WebIdentityCredentials":
		return "a web identity token"
	case "EC2RoleProvider":
		return "the role of this EC2 instance"
	case "CredentialsEndpointProvider":
		return "the role of this container"
	case "":
		return "an unknown source"
	}
	return source
}

// renewal returns the remedy for expired credentials.
func renewal(source string) string {
	name, _, _ := strings.Cut(source, ": ")
	switch name {
	case "SSOProvider":
		return "run aws sso login"
	case "AssumeRoleProvider":
		return "renew the credentials that assume the role"
	case "EC2RoleProvider", "CredentialsEndpointProvider", "ProcessProvider", "WebIdentityCredentials":
		return "check why the source returns expired credentials"
	}
	return "get new ones that last longer than the build, or use a source that refreshes itself, such as assume_role, IAM Identity Center or credential_process"
}

// renewer renews credentials that AWS rejects as expired: the SDK's cache keeps
// them until the expiry that it knows, which may be later, or none.
type renewer struct {
	cache *aws.CredentialsCache

	mu     sync.Mutex
	source string // of the last credentials
}

// add wraps the SDK's retries of each request.
func (n *renewer) add(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("RenewCredentials", n.handle), "Retry", middleware.Before)
}

func (n *renewer) handle(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	out middleware.FinalizeOutput, metadata middleware.Metadata, err error,
) {
	used, err := n.retrieve(ctx)
	if err != nil {
		return out, metadata, err
	}
	out, metadata, err = next.HandleFinalize(ctx, in)
	if !IsExpired(err) || used.SessionToken == "" { // a wrong clock, if there is no token
		return out, metadata, err
	}
	if failure := n.renew(ctx, used, err); failure != nil {
		return out, metadata, failure
	}
	if failure := rewind(in.Request); failure != nil {
		return out, metadata, err
	}
	return next.HandleFinalize(ctx, in)
}

// retrieve returns the credentials. Its error is an *ExpiredError if they have
// expired and their source refuses new ones.
func (n *renewer) retrieve(ctx context.Context) (aws.Credentials, error) {
	now, err := n.cache.Retrieve(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case err == nil:
		n.source = now.Source
	case ctx.Err() == nil && !IsOutage(err) && n.source != "":
		err = &ExpiredError{n.source, err}
	}
	return now, err
}

// renew makes the source return new credentials, unless another request has done
// so. It fails if they are still those that AWS has rejected.
func (n *renewer) renew(ctx context.Context, used aws.Credentials, rejection error) error {
	now, err := n.retrieve(ctx)
	if err == nil && now.SessionToken == used.SessionToken {
		n.cache.Invalidate()
		now, err = n.retrieve(ctx)
	}
	if err == nil && now.SessionToken == used.SessionToken {
		return &ExpiredError{used.Source, rejection}
	}
	return err
}
