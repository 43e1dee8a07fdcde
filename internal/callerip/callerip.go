// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package callerip looks up the public address from which this machine reaches AWS.
package callerip

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Service is AWS's own service, which amazon-ebs also uses: it returns the source
// address of a request, and a newline.
const Service = "https://checkip.amazonaws.com"

const (
	patience = 10 * time.Second // for one response
	longest  = 256              // of a response, in bytes; an address has at most 45
)

// Ask returns the source address seen by the service at a URL. It uses the
// environment's proxy, as requests to AWS do.
func Ask(ctx context.Context, url string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return netip.Addr{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return netip.Addr{}, err // contains the URL
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return netip.Addr{}, fmt.Errorf("%s returned %s", url, answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, longest))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("reading the response of %s: %w", url, err)
	}
	address, err := netip.ParseAddr(strings.TrimSpace(string(text)))
	if err != nil || address.IsUnspecified() || address.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%s returned %q, want an address", url, text)
	}
	return address.Unmap(), nil
}
