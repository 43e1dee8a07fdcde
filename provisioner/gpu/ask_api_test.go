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

// answers is a miner whose log says 5 Kh, and whose API answers with what is
// given, in Python.
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

// Log and API are held against each other, through the whole provisioner.
func TestTheAPIIsAsked(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: needs python3: a stand-in miner is written in it")
	}
	for _, test := range []struct {
		name, api string
		options   map[string]any
		samples   bool     // that the report has some of the API
		want      []string // parts of the error
	}{
		{"both say the same", says5Kh, nil, true, nil},
		{"they differ", says50Kh, nil, true, []string{"measured 5.00 Kh/s by the miner's log", "and 50.00 Kh/s by its API", "one of them is not true"}},
		{"the API alone tells of rejected shares", rejects, nil, true, []string{"3 of its solutions were rejected"}},
		{"it is not to be asked", says50Kh, map[string]any{"benchmark_api": false}, false, nil},
		{"it answers with something else", "HTTP/1.1 400 Bad Request", nil, false, nil},
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
				t.Errorf("%d samples of the API, %v\n%s", report.APISamples, err, said)
			}
			if !test.samples && test.options == nil && !strings.Contains(said, "from the miner's log alone") {
				t.Errorf("nobody has said that the API did not answer:\n%s", said)
			}
		})
	}
}

func TestJudgeAPI(t *testing.T) {
	for _, test := range []struct {
		name string
		r    miner.Report
		good bool
	}{
		{"no answer", miner.Report{Hashrate: 25e6}, true},
		{"within a tenth", miner.Report{Hashrate: 25e6, APIHashrate: 27e6, APISamples: 9}, true},
		{"beyond", miner.Report{Hashrate: 25e6, APIHashrate: 28e6, APISamples: 9}, false},
		{"below", miner.Report{Hashrate: 25e6, APIHashrate: 22e6, APISamples: 9}, false},
		{"an unsteady rate", miner.Report{Hashrate: 25e6, APIHashrate: 28e6, APISamples: 9, Variation: 0.1}, true},
		{"whole kH/s of a slow one", miner.Report{Hashrate: 480, APIHashrate: 0, APISamples: 9, APIStep: 1000}, true},
		{"two answers are too few", miner.Report{Hashrate: 25e6, APIHashrate: 28e6, APISamples: 2}, true},
		{"a CPU", miner.Report{Device: "cpu", Hashrate: 480, APIHashrate: 900, APISamples: 9}, true},
	} {
		if err := judgeAPI(test.r); (err == nil) != test.good {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
