// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/cloudformation/template"
)

// Maximum sizes of a template in bytes
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html).
const (
	maxBody = 51_200
	maxURL  = 1 << 20
)

// template parses the template of the request; nil without one.
func (c *call) template() (*template.Template, error) {
	body, url := c.p.Get("TemplateBody"), c.p.Get("TemplateURL")
	switch {
	case body == "" && url == "":
		return nil, nil
	case body != "" && url != "":
		return nil, invalid("You cannot specify both TemplateBody and TemplateURL.")
	case len(body) > maxBody:
		return nil, invalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", maxBody)
	case url != "":
		text, err := c.fetch(url)
		if err != nil {
			return nil, err
		}
		body = text
	}
	return template.Parse(body)
}

func (c *call) fetch(url string) (string, error) {
	if c.s.cfg.Templates == nil {
		return "", invalid("TemplateURL must be a supported URL. The rehearsal has no S3 from which to read %s.", url)
	}
	text, err := c.s.cfg.Templates.Fetch(url)
	switch {
	case err != nil:
		return "", invalid("S3 error: %v", err)
	case len(text) > maxURL:
		return "", invalid("Template may not exceed %d bytes in size.", maxURL)
	}
	return string(text), nil
}
