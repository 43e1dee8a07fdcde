// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eth-mining/packer-plugin-ethminer/internal/awsclient"
)

// Forecast is a publication of images that do not all exist yet.
type Forecast struct {
	*Plan
	// Named is true if the user set the version. By default the version is the
	// SHA-256 of the template.
	Named bool
	// Planned holds the images that do not exist yet, and who will be able to
	// launch them. Without an Owner an image is not compared with the stack set's
	// targets.
	Planned map[Image]Sharing
	// Later is true if other builds may still fill cells. A missing image is then
	// only a warning.
	Later bool
}

// Outlook is the result of a forecast.
type Outlook struct {
	Problems []error  // each makes the publication fail
	Warnings []string // what publishing waits for, or what was not checked
}

// Forecast finds everything that would make a publication fail, and changes
// nothing. The writes that it tries have conditions that cannot hold.
func (p *Publisher) Forecast(ctx context.Context, f Forecast) Outlook {
	var mu sync.Mutex
	var o Outlook
	quiet := *p
	quiet.Say = func(s string) { mu.Lock(); defer mu.Unlock(); o.Warnings = append(o.Warnings, s) }
	r := &run{Publisher: &quiet, plan: f.Plan}
	checks := []func(context.Context) []error{
		func(ctx context.Context) []error { return r.forecastImages(ctx, f) },
	}
	if f.StackSet != nil {
		checks = append(checks, func(ctx context.Context) []error { return each(r.stackSet(f.StackSet).Forecast(ctx, f.Body)) })
	}
	for i := range f.Places {
		checks = append(checks, func(ctx context.Context) []error { return r.forecastBucket(ctx, f.Places[i], f.Named) })
	}
	for _, q := range f.Parameters {
		checks = append(checks, func(ctx context.Context) []error { return r.forecastParameter(ctx, q, f.Named) })
	}
	found := make([][]error, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { found[i] = check(ctx) })
	}
	wg.Wait()
	for _, err := range slices.Concat(found...) {
		if errors.Is(err, context.DeadlineExceeded) {
			o.Warnings = append(o.Warnings, "not checked, because the request timed out: "+awsclient.Plain(err).Error())
			continue
		}
		o.Problems = append(o.Problems, err)
	}
	slices.Sort(o.Warnings)
	o.Warnings = slices.Compact(o.Warnings)
	return o
}

// each returns the errors that err joins.
func each(err error) []error {
	var joined interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &joined):
		var list []error
		for _, e := range joined.Unwrap() {
			list = append(list, each(e)...)
		}
		return list
	}
	return []error{err}
}

func (r *run) forecastImages(ctx context.Context, f Forecast) (found []error) {
	images, missing := f.images()
	for _, m := range missing {
		if f.Later {
			r.Sayf("%s; publishing fails unless another build fills it first", m)
		} else {
			found = append(found, m)
		}
	}
	known := map[Image]Sharing{}
	var there []Image
	for _, image := range images {
		if sharing, planned := f.Planned[image]; !planned {
			there = append(there, image)
		} else if sharing.Owner != "" {
			known[image] = sharing
		}
	}
	if r.plan.TrustImages {
		return found
	}
	if unknown := len(images) - len(there) - len(known); unknown > 0 && r.plan.StackSet != nil {
		r.Sayf("stack set %s: not checked whether its targets may launch the %d images that do not exist yet", r.plan.StackSet.Name, unknown)
	}
	looked, err := r.sharings(ctx, there)
	found = append(found, each(err)...)
	maps.Copy(known, looked)
	return append(found, each(r.checkAccounts(ctx, images, known))...)
}

// forecastBucket reads latest, checks that the version is not published with other
// content, and tries a write whose condition cannot hold.
func (r *run) forecastBucket(ctx context.Context, at Place, named bool) []error {
	in := func(err error) []error {
		if err == nil {
			return nil
		}
		return []error{fmt.Errorf("s3 in %s: %w", at.Region, err)}
	}
	if _, err := r.latest(ctx, at, r.plan.S3.Owner); err != nil {
		return in(err)
	}
	if named {
		o, err := r.get(ctx, at, r.plan.S3.Owner, at.Key)
		if err != nil {
			return in(err)
		}
		if o != nil && !bytes.Equal(o.body, r.plan.Body) {
			return in(fmt.Errorf("version %q is already published with other content; set another version", r.plan.Version))
		}
	}
	// No publication has this object, and no object has this ETag.
	_, err := r.put(ctx, at, object{key: r.plan.key(".check"), contentType: contentType(nil), body: []byte("check\n"), public: true, ifMatch: noETag})
	if err == nil || isTaken(err) || isConflict(err) { // S3 checks the permission first
		return nil
	}
	return in(err)
}

const noETag = `"00000000000000000000000000000000-0"`

func (r *run) forecastParameter(ctx context.Context, q Parameter, named bool) []error {
	if q.Fixed && !named {
		return nil // its name has the version, which is not known yet
	}
	now, err := getParameter(ctx, r.Clients.SSM(q.Region), q)
	switch {
	case err != nil:
	case now == nil:
		return nil
	case aws.ToString(now.DataType) != imageType:
		err = fmt.Errorf("it exists with data type %q, which SSM cannot change; delete it, or set another name", aws.ToString(now.DataType))
	case q.Fixed && aws.ToString(now.Value) != q.Image:
		err = fmt.Errorf("it is set to %s, and the parameter of a version never changes; set another version", aws.ToString(now.Value))
	default:
		return nil
	}
	return []error{fmt.Errorf("ssm in %s: %s: %w", q.Region, q.Name, err)}
}

// Scope describes where a plan publishes to.
func (p *Plan) Scope() string {
	words := []string{fmt.Sprintf("%d bucket(s)", len(p.Places))}
	if len(p.Parameters) > 0 {
		words = append(words, fmt.Sprintf("%d parameter(s)", len(p.Parameters)))
	}
	if p.StackSet != nil {
		words = append(words, "stack set "+p.StackSet.Name)
		if names := p.StackSet.Overridden(); len(names) > 0 {
			words = append(words, "overrides of "+strings.Join(names, ", "))
		}
	}
	return strings.Join(words, ", ")
}
