// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package gpu

import (
	"maps"
	"os/exec"
	"strings"
	"testing"

	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
)

// answers returns a miner in Python whose log has a rate of 5 Kh, and whose API
// responds with stat1.
func answers(stat1 string) string {
	return `#!/usr/bin/env python3
import socketserver, sys, threading, time
if sys.argv[1:] == ["-V"]:
    print("ethminer 0.19.0")
    sys.exit()
port = -int(sys.argv[sys.argv.index("--api-bind") + 1].split(":")[1]) if "--api-bind" in sys.argv else None
class Answer(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if b"getstat1" in line:
                self.wfile.write(b'` + stat1 + `\n')
            else:
                self.wfile.write(b'{"id":1,"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"}}\n')
if port:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
while True:
    print(" m 16:39:20 ethminer 0:00 A0 5.00 Kh - cu0 5.00", flush=True)
    time.sleep(0.1)
`
}

const (
	says5Kh  = `{"id":1,"jsonrpc":"2.0","result":["ethminer-0.19.0","5","5;7;0","5","0;0;0","off","62;30","localhost:0","0;0;0;0"]}`
	says50Kh = `{"id":1,"jsonrpc":"2.0","result":["ethminer-0.19.0","5","50;7;0","50","0;0;0","off","62;30","localhost:0","0;0;0;0"]}`
	rejects  = `{"id":1,"jsonrpc":"2.0","result":["ethminer-0.19.0","5","5;7;3","5","0;0;0","off","62;30","localhost:0","0;0;0;0"]}`
)

// TestAPIRateIsCompared runs the whole provisioner and compares log and API.
func TestAPIRateIsCompared(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: needs python3: a stand-in miner is written in it")
	}
	for _, test := range []struct {
		name, api string
		options   map[string]any
		samples   bool     // the report has API samples
		want      []string // parts of the error
	}{
		{"the rates match", says5Kh, nil, true, nil},
		{"the rates differ", says50Kh, nil, true, []string{"measured 5.00 Kh/s by the miner's log", "and 50.00 Kh/s by its API", "one of them is wrong"}},
		{"only the API reports rejected shares", rejects, nil, true, []string{"3 of its solutions were rejected"}},
		{"benchmark_api is off", says50Kh, map[string]any{"benchmark_api": false}, false, nil},
		{"the API returns another protocol", "HTTP/1.1 400 Bad Request", nil, false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			programs := tools()
			maps.Copy(programs, gpus(1))
			in := newInstance(t, programs)
			options := map[string]any{"source": minerSource(t, answers(test.api)), "benchmark_duration": "8s"}
			for k, v := range test.options {
				options[k] = v
			}
			said, err := provision(t, t.Context(), in, options)
			if (err == nil) != (len(test.want) == 0) {
				t.Fatalf("%v\n%s", err, said)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q: %v", part, err)
				}
			}
			report, err := miner.DecodeReport([]byte(in.installed(t, miner.ReportPath)))
			if err != nil || (report.APISamples > 0) != test.samples {
				t.Errorf("got %d API samples, %v\n%s", report.APISamples, err, said)
			}
			if !test.samples && test.options == nil && !strings.Contains(said, "from the miner's log only") {
				t.Errorf("the output does not say that the API did not respond:\n%s", said)
			}
		})
	}
}
