// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package s3 stands in for go-getter's module of that name. The SDK's
// commonsteps, which has the runner of every builder, imports it for a step that
// downloads ISO files; nothing here does. The real one brings
// a client of a cloud, with all that it needs, into the program.
package s3

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/hashicorp/go-getter/v2"
)

// Getter gets nothing: no URL is taken for one of its own.
type Getter struct {
	Timeout time.Duration // as in the real one
}

var errNone = errors.New("this program was built without downloads from s3")

// Detect takes no URL.
func (*Getter) Detect(*getter.Request) (bool, error) { return false, nil }

// Mode always fails.
func (*Getter) Mode(context.Context, *url.URL) (getter.Mode, error) { return 0, errNone }

// Get always fails.
func (*Getter) Get(context.Context, *getter.Request) error { return errNone }

// GetFile always fails.
func (*Getter) GetFile(context.Context, *getter.Request) error { return errNone }
