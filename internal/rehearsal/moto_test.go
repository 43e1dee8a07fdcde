// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/mototest"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// TestMoto compares the answers of the rehearsal with those of moto_server, which has no
// policies and no roll back.
func TestMoto(t *testing.T) {
	requireProgram(t, "python3", "-c", "import boto3, botocore")
	moto := mototest.Start(t, "us-east-1")
	_, s, env := startServer(t, Config{Pace: pace.Instant})
	var own []string
	for _, line := range env {
		if !strings.HasPrefix(line, "AWS_ENDPOINT_URL") {
			own = append(own, line)
		}
	}
	t.Log(runClient(t, own, "python3", "testdata/compare_moto.py", s.Endpoint, *moto.BaseEndpoint))
}
