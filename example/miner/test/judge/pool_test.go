// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package judge

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"

	"strconv"
	"strings"
	"testing"
)

// pool serves one miner: it accepts the first share if go-ethereum verifies it,
// rejects the second, sends a new job, and disconnects after the third.
func pool(t *testing.T, listener net.Listener, failed chan<- string) {
	cache := make([]uint32, calcCacheSize(0)/4)
	generateCache(cache, 0, make([]byte, 32))
	boundary, _ := hex.DecodeString("003" + strings.Repeat("f", 61)) // 1024 hashes
	headers := []string{strings.Repeat("11", 32), strings.Repeat("22", 32)}
	job := func(i int) string {
		return fmt.Sprintf(`["0x%s","0x%s","0x%x"]`, headers[i], strings.Repeat("0", 64), boundary)
	}
	defer close(failed)
	conn, err := listener.Accept()
	if err != nil {
		failed <- err.Error()
		return
	}
	defer func() { _ = conn.Close() }()
	shares, now := 0, 0
	for scanner := bufio.NewScanner(conn); shares < 3 && scanner.Scan(); {
		var r struct {
			ID     int
			Method string
			Params []string
			Worker string
		}
		if err := json.Unmarshal(scanner.Bytes(), &r); err != nil {
			failed <- err.Error()
			return
		}
		result := "true"
		switch r.Method {
		case "eth_submitLogin":
			if strings.Join(r.Params, " ") != "0xme pass:word" || r.Worker != "rig" {
				failed <- scanner.Text()
			}
		case "eth_getWork":
			result = job(0)
		case "eth_submitWork":
			nonce, err := strconv.ParseUint(r.Params[0], 0, 64)
			header, err2 := hex.DecodeString(strings.TrimPrefix(r.Params[1], "0x"))
			if err != nil || err2 != nil || !strings.HasSuffix(r.Params[1], headers[now]) && shares != 2 {
				failed <- scanner.Text()
				return
			}
			mix, end := hashimotoLight(calcDatasetSize(0), cache, header, nonce)
			if fmt.Sprintf("0x%x", mix) != r.Params[2] || bytes.Compare(end, boundary) > 0 {
				failed <- "wrong: " + scanner.Text()
			}
			shares++
			result = strconv.FormatBool(shares == 1)
		}
		fmt.Fprintf(conn, `{"id":%d,"jsonrpc":"2.0","result":%s}`+"\n", r.ID, result)
		if shares == 2 && now == 0 {
			now = 1
			fmt.Fprintf(conn, `{"id":0,"jsonrpc":"2.0","result":%s}`+"\n", job(1))
		}
	}
}

func TestPool(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	failed := make(chan string, 10)
	go pool(t, listener, failed)

	at := listener.Addr().String()
	m := start(t, true, "--cpu", "-t", "1", "--nocolor", "--display-interval", "1", "-P", "stratum1+tcp://0xme.rig:pass%3Aword@"+at)
	m.wait(t, `^ i .* ethminer Established connection to `+at+`$`)
	m.wait(t, `^ i .* Epoch : 0 Difficulty : 1\.02 Kh$`)
	m.wait(t, `^ i .* Job: 11111111\.\.\. `+at+`$`)
	m.wait(t, `^ i .* stratum  \*\*Accepted +\d+ ms\. `+at+`$`)
	m.wait(t, `^ X .* stratum  \*\*Rejected +\d+ ms\. `+at+`$`)
	m.wait(t, `^ i .* stratum  Job: 22222222\.\.\. `+at+`$`)
	m.wait(t, `Got interrupt`)
	for line := range m.lines {
		if strings.Contains(line, "Terminated") {
			t.Errorf("a pool that hangs up is no end as asked: %q", line)
		}
	}
	if code := exitCode(m.cmd.Wait()); code != 2 || !strings.Contains(m.other.String(), at+" has closed the connection") {
		t.Errorf("exit code %d, %q", code, m.other.String())
	}
	for text := range failed {
		t.Error(text)
	}
}
