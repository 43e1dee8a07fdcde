// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfnsettings

import (
	"errors"
	"fmt"

	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/eth-mining/packer-plugin-ethminer/internal/hcldecode"
)

// Read decodes the options from JSON, as both components take them, and prepares
// them.
func Read(text string) (*Settings, error) {
	options, err := parse(text)
	if err != nil {
		return nil, err
	}
	s := new(Settings)
	errs, err := hcldecode.Decode(s, &config.DecodeOpts{PluginType: "ethminer-cfn"}, options)
	if err != nil {
		return nil, err
	}
	s.Prepare("", func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) })
	return s, errors.Join(errs...)
}
