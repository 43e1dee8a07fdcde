// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package gcs replaces go-getter's module of that name. The SDK's commonsteps, which
// contains the runner of all builders, imports it for a step that downloads ISO
// files, which the plugin does not use. The original would add a cloud client and
// its dependencies to the binary.
package gcs

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/hashicorp/go-getter/v2"
)

// Getter supports no URLs.
type Getter struct {
	Timeout time.Duration // as in the original
}

var errNone = errors.New("this program was built without downloads from gcs")

// Detect matches no URL.
func (*Getter) Detect(*getter.Request) (bool, error) { return false, nil }

// Mode always fails.
func (*Getter) Mode(context.Context, *url.URL) (getter.Mode, error) { return 0, errNone }

// Get always fails.
func (*Getter) Get(context.Context, *getter.Request) error { return errNone }

// GetFile always fails.
func (*Getter) GetFile(context.Context, *getter.Request) error { return errNone }
