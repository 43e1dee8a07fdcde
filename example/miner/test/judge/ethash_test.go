// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package judge

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/crypto/sha3"
)

// program returns the path of a binary from the environment, which test/run sets. Without it nothing would be compared, so
// this is a failure, not a skip.
func program(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: run example/miner/test/run", variable)
	}
	return path
}

// asker returns a function that sends one line to ethash_cli and returns the response.
func asker(t *testing.T) func(format string, args ...any) string { return askerOf(t, "ETHASH_CLI") }

func askerOf(t *testing.T, variable string) func(format string, args ...any) string {
	t.Helper()
	cmd := exec.Command(program(t, variable))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("ethash_cli: %v", err)
		}
	})
	answers := bufio.NewReader(out)
	return func(format string, args ...any) string {
		question := fmt.Sprintf(format, args...)
		if _, err := io.WriteString(in, question+"\n"); err != nil {
			t.Fatalf("asking %q: %v", question, err)
		}
		answer, err := answers.ReadString('\n')
		if err != nil {
			t.Fatalf("asking %q: %v", question, err)
		}
		return strings.TrimSpace(answer)
	}
}

func compare(t *testing.T, what, ours, theirs string) {
	t.Helper()
	if ours != theirs {
		t.Errorf("%s: ours %s, the judge's %s", what, ours, theirs)
	}
}

// Lengths around the rates of both (136 and 72 bytes) and their multiples.
func TestKeccakAgainstXCrypto(t *testing.T) {
	ask := asker(t)
	random := rand.New(rand.NewSource(1))
	for size := 0; size <= 300; size++ {
		data := make([]byte, size)
		random.Read(data)
		text := hex.EncodeToString(data)
		if size == 0 {
			text = "-"
		}
		k256, k512 := sha3.NewLegacyKeccak256(), sha3.NewLegacyKeccak512()
		k256.Write(data)
		k512.Write(data)
		compare(t, fmt.Sprintf("keccak256 of %d bytes", size), ask("keccak256 %s", text), hex.EncodeToString(k256.Sum(nil)))
		compare(t, fmt.Sprintf("keccak512 of %d bytes", size), ask("keccak512 %s", text), hex.EncodeToString(k512.Sum(nil)))
	}
}

func TestSizesAndSeedsAgainstGoEthereum(t *testing.T) {
	ask := asker(t)
	for epoch := 0; epoch <= 2047; epoch++ {
		compare(t, fmt.Sprintf("sizes of epoch %d", epoch), ask("sizes %d", epoch),
			fmt.Sprintf("%d %d", calcDatasetSize(epoch), calcCacheSize(epoch)))
		if epoch%89 == 0 || epoch == 2047 {
			compare(t, fmt.Sprintf("seed of epoch %d", epoch), ask("seed %d", epoch),
				hex.EncodeToString(seedHash(uint64(epoch)*30000+1)))
		}
	}
}

// hashesAgree compares cache and hashes of an epoch, for a variant with length blocks per epoch.
func hashesAgree(t *testing.T, ask func(string, ...any) string, random *rand.Rand, epoch, length int) {
	t.Helper()
	cache := make([]uint32, calcCacheSize(epoch)/4)
	generateCache(cache, uint64(epoch), seedHash(uint64(epoch*length)+1))
	whole := sha3.NewLegacyKeccak256()
	if err := binary.Write(whole, binary.LittleEndian, cache); err != nil {
		t.Fatal(err)
	}
	compare(t, "cache", ask("cache %d", epoch), hex.EncodeToString(whole.Sum(nil)))

	for i := 0; i < 40; i++ {
		header := make([]byte, 32)
		random.Read(header)
		nonce := random.Uint64()
		switch i {
		case 0:
			nonce = 0
		case 1:
			nonce = ^uint64(0)
		}
		block := epoch*length + random.Intn(length)
		mix, result := hashimotoLight(calcDatasetSize(epoch), cache, header, nonce)
		compare(t, fmt.Sprintf("header %x nonce %d", header, nonce),
			ask("hash %d %x %d", block, header, nonce), fmt.Sprintf("%x %x", mix, result))
	}
}

func TestHashesAgainstGoEthereum(t *testing.T) {
	ask := asker(t)
	random := rand.New(rand.NewSource(2))
	for _, epoch := range []int{0, 1, 2, 130, 512} {
		t.Run(fmt.Sprintf("epoch %d", epoch), func(t *testing.T) { hashesAgree(t, ask, random, epoch, 30000) })
	}
}

// Etchash is Ethash with epochs of 60000 blocks, whose seed is that of the first of its blocks (ECIP-1099).
func TestEtchashAgainstGoEthereum(t *testing.T) {
	ask := askerOf(t, "ETCHASH_CLI")
	// keccak256 of keccak256 of 32 zero bytes: the published seed of block 60000.
	compare(t, "seed of epoch 1", ask("seed 1"), "510e4e770828ddbf7f7b00ab00a9f6adaf81c0dc9cc85f1f8249c256942d61d9")
	for _, epoch := range []int{0, 1, 195, 405, 2047} {
		compare(t, fmt.Sprintf("sizes of epoch %d", epoch), ask("sizes %d", epoch), fmt.Sprintf("%d %d", calcDatasetSize(epoch), calcCacheSize(epoch)))
		compare(t, fmt.Sprintf("seed of epoch %d", epoch), ask("seed %d", epoch), hex.EncodeToString(seedHash(uint64(epoch)*60000+1)))
	}
	random := rand.New(rand.NewSource(3))
	for _, epoch := range []int{0, 1, 195} {
		t.Run(fmt.Sprintf("epoch %d", epoch), func(t *testing.T) { hashesAgree(t, ask, random, epoch, 60000) })
	}
}

// The miner mines the block's epoch for its algorithm.
func TestEtchashMinesHalfTheEpoch(t *testing.T) {
	for variable, want := range map[string]string{"ETHMINER": "Epoch : 2 ", "ETCHMINER": "Epoch : 1 "} {
		cmd := exec.Command(program(t, variable), "--cpu", "-t", "1", "-M", "60000", "--stdout", "--nocolor", "--display-interval", "1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := ""
		for lines := bufio.NewScanner(out); lines.Scan() && !strings.Contains(said, "Epoch : "); {
			said += lines.Text() + "\n"
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if !strings.Contains(said, want) {
			t.Errorf("%s: no %q in %q", variable, want, said)
		}
	}
}
