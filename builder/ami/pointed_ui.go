// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// pointedUI and pointedError point the AWS CLI commands in all messages and in the
// final error of a build at the endpoint of a rehearsal, whichever package has
// written them.
type pointedUI struct {
	packersdk.Ui
	point func(string) string
}

func (u pointedUI) Say(text string)                   { u.Ui.Say(u.point(text)) }
func (u pointedUI) Sayf(format string, args ...any)   { u.Say(fmt.Sprintf(format, args...)) }
func (u pointedUI) Error(text string)                 { u.Ui.Error(u.point(text)) }
func (u pointedUI) Errorf(format string, args ...any) { u.Error(fmt.Sprintf(format, args...)) }

type pointedError struct {
	error
	point func(string) string
}

func (e pointedError) Error() string { return e.point(e.error.Error()) }
func (e pointedError) Unwrap() error { return e.error }
