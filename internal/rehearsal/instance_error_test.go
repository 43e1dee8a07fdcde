// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"errors"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
)

// TestInstanceError: the error names the option, and sudo only if root would help.
func TestInstanceError(t *testing.T) {
	o := Options{StateDir: "/my state", Instance: Sandbox, Latency: "instant"}
	for _, test := range []struct {
		err   error
		owned bool
		want  string
	}{
		{instance.ErrNotRoot, true, `rehearsal_instance: got "sandbox": rehearsal instances require root for an overlay of the root file system; ` +
			"start the server with `sudo packer-plugin-ethminer rehearsal-aws serve -state '/my state' -latency instant`, " +
			`or set rehearsal_instance to "none", which supports everything except provisioning`},
		{errors.New("no overlayfs"), false, `--instance: got "sandbox": no overlayfs; set --instance to "none", which supports everything except provisioning`},
	} {
		if got := o.instanceError(test.err, test.owned); got.Error() != test.want || !errors.Is(got, test.err) {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
