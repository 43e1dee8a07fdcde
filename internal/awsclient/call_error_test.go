// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package awsclient_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
)

// TestCallErrors: the error of a request names the action, the region and the remedy,
// however it is wrapped, and none of the SDK's own words.
func TestCallErrors(t *testing.T) {
	for code, want := range map[string]string{
		"UnauthorizedOperation": "operation error EC2: DescribeImages, UnauthorizedOperation: A refusal; allow ec2:DescribeImages in eu-west-1",
		"InternalError":         "operation error EC2: DescribeImages, eu-west-1: InternalError: A refusal.; try again later",
		"InvalidAMIID.NotFound": "operation error EC2: DescribeImages, eu-west-1: InvalidAMIID.NotFound: A refusal.",
	} {
		server := rehearsal.New(rehearsal.Config{})
		server.AddFault(rehearsal.Fault{Action: "DescribeImages", Code: code, Message: "A refusal."})
		base := server.AWSConfig("eu-central-1")
		base.RetryMaxAttempts = 1
		_, err := awsclient.New(base, "").EC2("eu-west-1").DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		var api smithy.APIError
		if !errors.As(err, &api) || awsclient.Code(err) != code {
			t.Errorf("got the code %q, want %q", awsclient.Code(err), code)
		}
		if wrapped := fmt.Errorf("looking: %w", awsclient.Plain(err)); !strings.HasPrefix(wrapped.Error(), "looking: "+code+": A refusal") {
			t.Errorf("got %s without the SDK's words", wrapped)
		}
	}
}

// TestCauses: errors of connections are in plain words.
func TestCauses(t *testing.T) {
	for want, err := range map[string]error{
		"unexpected EOF": io.ErrUnexpectedEOF, "the connection was closed": io.EOF, "no route": errors.New("no route"),
		"dial: refused": &net.OpError{Op: "dial", Err: errors.New("refused")},
	} {
		base := rehearsal.New(rehearsal.Config{}).AWSConfig("eu-west-1")
		base.RetryMaxAttempts, base.HTTPClient = 1, &http.Client{Transport: failing{err}}
		_, err := awsclient.New(base, "").EC2("eu-west-1").DescribeImages(t.Context(), &ec2.DescribeImagesInput{})
		if full := "operation error EC2: DescribeImages, eu-west-1: " + want + "; try again later"; err == nil || err.Error() != full {
			t.Errorf("got %v, want %s", err, full)
		}
	}
}

// failing is a network that does not transport anything.
type failing struct{ error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.error }
