// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package resource

// recorded are resources that only have an id, such as alarms, budgets and topics.
var recorded = Type{
	Create: func(r *Request) (string, error) { return r.name("", 64), nil },
	Update: func(*Request) error { return nil },
	Delete: func(*Request) (bool, error) { return true, nil },
	Attribute: func(r *Request, name string) (string, error) {
		return "arn:aws:rehearsal:" + r.Region + ":" + r.Account + ":" + name + "/" + r.ID, nil
	},
}
