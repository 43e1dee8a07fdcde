// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cloudformation

import (
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type templateParameter struct {
	Key         string  `xml:"ParameterKey"`
	Default     *string `xml:"DefaultValue"`
	NoEcho      bool    `xml:"NoEcho"`
	Description string  `xml:"Description,omitempty"`
}

type validated struct {
	Parameters   query.Members[templateParameter] `xml:"Parameters"`
	Description  string                           `xml:"Description,omitempty"`
	Capabilities *query.Members[string]           `xml:"Capabilities"`
	Reason       string                           `xml:"CapabilitiesReason,omitempty"`
	Transforms   *query.Members[string]           `xml:"DeclaredTransforms"`
}

func validateTemplate(c *call) (any, error) {
	t, err := c.template()
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, invalid("Either Template URL or Template Body must be specified.")
	}
	out := validated{Description: t.Description()}
	for _, p := range t.Parameters() {
		out.Parameters.Items = append(out.Parameters.Items, templateParameter{p.Key, p.Default, p.NoEcho, p.Description})
	}
	needs, resources := t.Capabilities()
	if len(needs) > 0 {
		out.Capabilities = &query.Members[string]{Items: needs}
		out.Reason = "The following resource(s) require capabilities: [" + strings.Join(resources, ", ") + "]"
	}
	if list := t.Transforms(); len(list) > 0 {
		out.Transforms = &query.Members[string]{Items: list}
	}
	return out, nil
}
