// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go"
	awsbase "github.com/hashicorp/aws-sdk-go-base/v2"
	"github.com/hashicorp/aws-sdk-go-base/v2/diag"

	"github.com/eth-mining/packer-plugin-ethminer/internal/region"
	"github.com/eth-mining/packer-plugin-ethminer/version"
)

// Account returns the configuration of the account that the options select. It
// replaces amazon-ebs's own, whose errors do not include their causes.
func Account(ctx context.Context, o *AccessConfig) (*aws.Config, error) {
	wanted := &awsbase.Config{
		AccessKey: o.AccessKey, SecretKey: o.SecretKey, Token: o.Token,
		Profile: o.ProfileName, Region: o.RawRegion,
		StsEndpoint: endpointOf("STS"), SsoEndpoint: endpointOf("SSO"), // otherwise requests for web identities and roles of profiles go to AWS
		Insecure: o.InsecureSkipTLSVerify, MaxRetries: o.MaxRetries, SkipCredsValidation: o.SkipCredsValidation,
		EC2MetadataServiceEnableState: imds.ClientEnabled, SuppressDebugLog: true,
		APNInfo: &awsbase.APNInfo{PartnerName: "HashiCorp", Products: awsbase.UserAgentProducts{
			{Name: "packer-plugin-ethminer", Version: version.PluginVersion.FormattedVersion()},
		}},
	}
	if o.SkipMetadataApiCheck {
		wanted.EC2MetadataServiceEnableState = imds.ClientDisabled
	}
	if o.CredsFilename != "" {
		// amazon-ebs reads it only as a config file, where "[name]" is not a profile.
		wanted.SharedConfigFiles = []string{o.CredsFilename}
		wanted.SharedCredentialsFiles = []string{o.CredsFilename}
	}
	if role := o.AssumeRole; role.AssumeRoleARN != "" {
		wanted.AssumeRole = []awsbase.AssumeRole{{
			RoleARN: role.AssumeRoleARN, ExternalID: role.AssumeRoleExternalID, SessionName: role.AssumeRoleSessionName,
			Duration: time.Duration(role.AssumeRoleDurationSeconds) * time.Second,
			Policy:   role.AssumeRolePolicy, PolicyARNs: role.AssumeRolePolicyARNs,
			Tags: role.AssumeRoleTags, TransitiveTagKeys: role.AssumeRoleTransitiveTagKeys,
		}}
	}
	base, diags := loadConfig(ctx, wanted)
	for _, d := range diags.Warnings() {
		log.Printf("[WARN] credentials: %s: %s", d.Summary(), d.Detail())
	}
	if errs := diags.Errors(); len(errs) > 0 {
		return nil, credentialsError(o, errs[0])
	}
	if o.MaxRetries > 0 {
		base.Retryer = func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), o.MaxRetries) }
	}
	if _, err := base.Credentials.Retrieve(ctx); err != nil {
		return nil, credentialsError(o, diag.NewNativeErrorDiagnostic(err))
	}
	return &base, nil
}

// cutTries is how often the credentials are loaded while a response is cut, which the
// library's own clients do not retry.
const cutTries = 3

func loadConfig(ctx context.Context, wanted *awsbase.Config) (base aws.Config, diags diag.Diagnostics) {
	for range cutTries {
		_, base, diags = awsbase.GetAwsConfig(ctx, wanted)
		if !slices.ContainsFunc(diags.Errors(), func(d diag.Diagnostic) bool {
			with, ok := d.(diag.DiagnosticWithErr)
			return ok && isCut(with.Err())
		}) {
			break
		}
	}
	return base, diags
}

// endpointOf returns a service's endpoint set in the environment.
func endpointOf(service string) string {
	if os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") == "true" {
		return ""
	}
	return cmp.Or(os.Getenv("AWS_ENDPOINT_URL_"+service), os.Getenv("AWS_ENDPOINT_URL"))
}

// credentialsError returns an error with the option that selected the credentials,
// the failed request and its cause.
func credentialsError(o *AccessConfig, d diag.Diagnostic) error {
	cause := errors.New(cmp.Or(strings.TrimSpace(d.Detail()), d.Summary()))
	if with, ok := d.(diag.DiagnosticWithErr); ok {
		cause = with.Err()
	}
	doing, remedy := "loading AWS credentials", ""
	webRole := os.Getenv("AWS_ROLE_ARN")
	operation := operationOf(cause)
	switch role := o.AssumeRole.AssumeRoleARN; {
	case awsbase.IsCannotAssumeRoleError(d):
		doing = fmt.Sprintf("assume_role: assuming %s", role)
		if o.AssumeRole.AssumeRoleExternalID != "" {
			doing += " with external_id"
		}
		if IsUnauthorized(cause) {
			remedy = "; the role's trust policy must include these credentials, and their own policy must allow sts:AssumeRole"
		}
	case strings.HasSuffix(operation, "AssumeRoleWithWebIdentity") && webRole != "":
		doing = "AWS_WEB_IDENTITY_TOKEN_FILE: assuming " + webRole
	case o.ProfileName != "":
		doing = fmt.Sprintf("profile: loading the credentials of %q", o.ProfileName)
	case o.AccessKey != "":
		doing = "access_key: validating it"
	case os.Getenv("AWS_PROFILE") != "":
		doing = fmt.Sprintf("AWS_PROFILE: loading the credentials of %q", os.Getenv("AWS_PROFILE"))
	case strings.Contains(cause.Error(), noMachineRole): // the machine's own credentials are the last ones to try
		log.Printf("[DEBUG] credentials: %s", cause)
		cause, operation = errors.New("found none in the options, the environment, the shared files, or the metadata service"), ""
		remedy = "; set profile or AWS_PROFILE, or set rehearsal = true to build without an account"
	case operation == "", strings.HasPrefix(operation, "ec2imds:"):
		remedy = "; set profile or AWS_PROFILE, or set rehearsal = true to build without an account"
	}
	var missing config.SharedConfigProfileNotExistError
	if errors.As(cause, &missing) {
		log.Printf("[DEBUG] credentials: %s", cause)
		cause = fmt.Errorf("no profile %q in the shared configuration files", missing.Profile)
		remedy = "; `aws configure list-profiles` lists them"
	}
	if IsUnauthorized(cause) && remedy == "" && operation != "" {
		remedy = fmt.Sprintf("; allow %s in %s", operation, regionOf(o))
	}
	if IsOutage(cause) {
		remedy = fmt.Sprintf("; check the network and the AWS Health Dashboard for %s, then try again", cmp.Or(regionOf(o), "the region"))
	}
	if name := regionOf(o); name != "" && !region.IsKnown(name) {
		remedy += fmt.Sprintf("; the region %q is unknown%s", name, region.DidYouMean(name))
	}
	if operation != "" {
		cause = plain{cause, operation + ": " + Cause(cause)}
	}
	return fmt.Errorf("%s: %w%s", doing, cause, remedy)
}

// noMachineRole starts the SDK's error if the instance metadata service is disabled or
// cannot be reached, or has no role. That error has no type of its own.
const noMachineRole = "no EC2 IMDS role found"

func regionOf(o *AccessConfig) string {
	return cmp.Or(o.RawRegion, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
}

// operationOf returns the failed request, such as "sts:AssumeRole"; empty for none.
func operationOf(err error) string {
	var call *smithy.OperationError
	if !errors.As(err, &call) {
		return ""
	}
	return strings.ToLower(call.ServiceID) + ":" + call.OperationName
}
