// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
	"github.com/eth-mining/packer-plugin-ethminer/internal/poll"
)

// imageType makes SSM validate that the image exists
// (https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html).
const imageType = "aws:ec2:image"

// announceTimeout is how long to wait for SSM to validate an image. AWS documents
// no limit; it takes seconds.
const announceTimeout = 5 * time.Minute

// Announce sets parameters without a publication.
func (p *Publisher) Announce(ctx context.Context, parameters []Parameter) error {
	r := &run{Publisher: p, plan: &Plan{Spec: Spec{SSM: &SSM{}}, Parameters: parameters}}
	return r.announce(awsclient.WaitOut(ctx))
}

// announce sets the parameters: regions concurrently, and the parameters of a
// region in sequence, because PutParameter has a low rate limit. A region that
// fails does not stop the others.
func (r *run) announce(ctx context.Context) error {
	var regions []string
	byRegion := map[string][]Parameter{}
	for _, q := range r.plan.Parameters {
		if byRegion[q.Region] == nil {
			regions = append(regions, q.Region)
		}
		byRegion[q.Region] = append(byRegion[q.Region], q)
	}
	errs := make([]error, len(regions))
	var wg sync.WaitGroup
	for i, region := range regions {
		wg.Go(func() {
			for _, q := range byRegion[region] {
				if err := r.setParameter(ctx, q); err != nil {
					errs[i] = fmt.Errorf("%s: %s: %w", region, q.Name, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// setParameter sets a parameter and waits until SSM has stored it: PutParameter
// returns before SSM has validated the image.
func (r *run) setParameter(ctx context.Context, q Parameter) error {
	api := r.Clients.SSM(q.Region)
	now, err := getParameter(ctx, api, q)
	switch {
	case err != nil:
		return err
	case now == nil:
	case aws.ToString(now.DataType) != imageType:
		return fmt.Errorf("it exists with data type %q, which SSM cannot change; delete it, or set another name", aws.ToString(now.DataType))
	case aws.ToString(now.Value) == q.Image:
		return nil
	case q.Fixed:
		return fmt.Errorf("it is set to %s, not to %s, and the parameter of a version never changes; set another version", aws.ToString(now.Value), q.Image)
	}
	var out *ssm.PutParameterOutput
	err = r.Again(ctx, q.Name+" in "+q.Region, func() error {
		out, err = api.PutParameter(ctx, &ssm.PutParameterInput{
			Name: &q.Name, Value: &q.Image, Type: types.ParameterTypeString, DataType: aws.String(imageType), Overwrite: aws.Bool(!q.Fixed),
		})
		return err
	})
	var there *types.ParameterAlreadyExists
	if made := q.Fixed && errors.As(err, &there); err != nil && !made {
		return awsclient.Denied(err, "ssm:PutParameter", q.Region)
	}
	version := int64(1)
	if out != nil {
		version = out.Version
	}
	limit := r.plan.SSM.Timeout
	if limit == 0 {
		limit = announceTimeout
	}
	err = r.Until(ctx, limit, "SSM to validate "+q.Image, func(ctx context.Context) (bool, error) {
		now, err = getParameter(ctx, api, q)
		return now != nil && now.Version >= version, err
	})
	var timeout *poll.TimeoutError
	switch {
	case errors.As(err, &timeout):
		return fmt.Errorf("SSM has not validated %s after %s: the image is not visible in %s, or these credentials lack ec2:DescribeImages there", q.Image, limit, q.Region)
	case err != nil:
		return err
	case aws.ToString(now.Value) != q.Image:
		return fmt.Errorf("it is set to %s, not to %s: another build also sets it", aws.ToString(now.Value), q.Image)
	}
	r.Sayf("%s: %s = %s", q.Region, q.Name, q.Image)
	return nil
}

// getParameter returns the parameter; nil if it does not exist.
func getParameter(ctx context.Context, api *ssm.Client, q Parameter) (*types.Parameter, error) {
	out, err := api.GetParameter(ctx, &ssm.GetParameterInput{Name: &q.Name})
	var none *types.ParameterNotFound
	switch {
	case errors.As(err, &none):
		return nil, nil
	case awsclient.IsThrottle(err):
		return nil, err
	case err != nil:
		return nil, awsclient.Denied(err, "ssm:GetParameter", q.Region)
	}
	return out.Parameter, nil
}
