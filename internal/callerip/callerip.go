// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package callerip asks by which public address this machine reaches AWS.
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

// Service is AWS's own, and the one that amazon-ebs asks: it answers with the
// address that a request comes from, and a newline.
const Service = "https://checkip.amazonaws.com"

const (
	patience = 10 * time.Second // for one answer
	longest  = 256              // of an answer, in bytes: an address has 45 at most
)

// Ask returns the address that the service at a URL sees. A proxy of the
// environment is used, as for AWS.
func Ask(ctx context.Context, url string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return netip.Addr{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return netip.Addr{}, err // names the URL
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return netip.Addr{}, fmt.Errorf("%s answers %s", url, answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, longest))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("reading the answer of %s: %w", url, err)
	}
	address, err := netip.ParseAddr(strings.TrimSpace(string(text)))
	if err != nil || address.IsUnspecified() || address.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%s answers %q; expected an address", url, text)
	}
	return address.Unmap(), nil
}
