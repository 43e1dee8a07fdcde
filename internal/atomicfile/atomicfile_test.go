// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package atomicfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// writerEnv makes the test binary a writer: it updates the file named there
// again and again, until it is killed.
const writerEnv = "ATOMICFILE_TEST_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerEnv); path != "" {
		writer(path)
	}
	os.Exit(m.Run())
}

// contents are what writers write: lines of one letter, and their number at the
// end, so that a part of one, or a mix of two, shows.
func contents(letter byte, lines int) []byte {
	line := append(bytes.Repeat([]byte{letter}, 63), '\n')
	return append(bytes.Repeat(line, lines), fmt.Sprintf("%c %d\n", letter, lines)...)
}

func whole(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	var letter byte
	var lines int
	tail := b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:]
	if n, err := fmt.Sscanf(string(tail), "%c %d\n", &letter, &lines); n != 2 || err != nil {
		return false
	}
	return bytes.Equal(b, contents(letter, lines))
}

func writer(path string) {
	for i := 0; ; i++ {
		_, err := Update(context.Background(), path, func([]byte) ([]byte, error) {
			return contents(byte('a'+i%26), 100+i%900), nil
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if i == 0 {
			fmt.Println("writing")
		}
	}
}

// TestKill kills a writer at 1,000 random moments. After each the file is whole
// and the lock is free.
func TestKill(t *testing.T) {
	kills := 1000
	if testing.Short() {
		kills = 50
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, contents('z', 10), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]bool) // sizes, to know that the writers did write
	for i := range kills {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), writerEnv+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "writing\n" {
			t.Fatalf("kill %d: the writer says %q, %v", i, line, err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(3 * time.Millisecond)))) //nolint:gosec // when to kill
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		b, err := os.ReadFile(path)
		if err != nil || !whole(b) {
			t.Fatalf("kill %d: the file is not whole: %d bytes, %v", i, len(b), err)
		}
		seen[len(b)] = true
	}
	if len(seen) < 3 {
		t.Errorf("%d different contents in %d runs; the writers did not write", len(seen), kills)
	}
	// What killed writers leave is a temporary file each, at most.
	if _, err := Update(context.Background(), path, func([]byte) ([]byte, error) { return contents('y', 1), nil }); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".file.tmp-*"))
	if len(left) > 0 {
		t.Errorf("%d temporary files of killed writers are left; the next writer removes them", len(left))
	}
}

// TestManyWriters: of writers that each change their own line, none is lost.
func TestManyWriters(t *testing.T) {
	const writers, rounds = 16, 8
	path := filepath.Join(t.TempDir(), "file")
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range rounds {
				if _, err := Update(context.Background(), path, func(old []byte) ([]byte, error) {
					return append(old, fmt.Sprintf("writer %d\n", i)...), nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || deletesOpen && len(files) != 1 {
		t.Errorf("%d files are left, want the one written (%v)", len(files), err)
	}
	for i := range writers {
		if n := strings.Count(string(b), fmt.Sprintf("writer %d\n", i)); n != rounds {
			t.Errorf("writer %d landed %d times, want %d", i, n, rounds)
		}
	}
}

func TestUpdateKeeps(t *testing.T) {
	ctx := context.Background()
	set := func(s string) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) { return []byte(s), nil }
	}
	t.Run("unchanged is not rewritten", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Stat(path)
		wrote, err := Update(ctx, path, set("x"))
		after, _ := os.Stat(path)
		if err != nil || wrote || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
			t.Errorf("wrote %v, %v", wrote, err)
		}
	})
	t.Run("an error of change writes nothing", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "f")
		stop := errors.New("stop")
		if _, err := Update(ctx, path, func([]byte) ([]byte, error) { return []byte("x"), stop }); !errors.Is(err, stop) {
			t.Error(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the file is there")
		}
	})
	t.Run("mode", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("SKIPPED: needs Unix modes")
		}
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o751); err != nil {
			t.Fatal(err)
		}
		wrote, err := Update(ctx, path, set("y"))
		info, _ := os.Stat(path)
		if err != nil || !wrote || info.Mode().Perm() != 0o751 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
	t.Run("a symlink stays, its target is written, also one that is not there yet", func(t *testing.T) {
		for _, there := range []bool{true, false} {
			dir := t.TempDir()
			real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
			if there {
				if err := os.WriteFile(real, []byte("x"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("real", link); err != nil {
				t.Skipf("SKIPPED: needs symlinks: %v", err)
			}
			if _, err := Update(ctx, link, set("y")); err != nil {
				t.Fatal(err)
			}
			to, err := os.Readlink(link)
			b, _ := os.ReadFile(real)
			if err != nil || to != "real" || string(b) != "y" {
				t.Errorf("link to %q, %v, target %q", to, err, b)
			}
		}
	})
	t.Run("waiting for a lock ends with the context", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "f")
		_, err := Update(ctx, path, func([]byte) ([]byte, error) {
			done, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			_, inner := Update(done, path, set("inner"))
			if !errors.Is(inner, context.DeadlineExceeded) {
				t.Errorf("the second writer: %v", inner)
			}
			return []byte("outer"), nil
		})
		if b, _ := os.ReadFile(path); err != nil || string(b) != "outer" {
			t.Errorf("%q, %v", b, err)
		}
	})
	t.Run("a folder is no file", func(t *testing.T) {
		if _, err := Update(ctx, t.TempDir(), set("x")); err == nil {
			t.Error("no error")
		}
	})
}

func TestSame(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, p := range []string{a, b} {
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hard, soft := filepath.Join(dir, "hard"), filepath.Join(dir, "soft")
	if err := errors.Join(os.Link(a, hard), os.Symlink(a, soft)); err != nil {
		t.Skipf("SKIPPED: needs links: %v", err)
	}
	for _, tt := range []struct {
		p, q string
		want bool
	}{
		{a, a, true}, {a, b, false}, {a, hard, true}, {a, soft, true}, {soft, hard, true},
		{a, filepath.Join(dir, ".", "x", "..", "a"), true},
		{a, filepath.Join(dir, "none"), false}, {a, filepath.Join(dir, "no folder", "a"), false},
		{filepath.Join(dir, "none"), filepath.Join(dir, "none"), true},
	} {
		if got, err := Same(tt.p, tt.q); got != tt.want || err != nil {
			t.Errorf("Same(%s, %s) = %v, %v", filepath.Base(tt.p), filepath.Base(tt.q), got, err)
		}
	}
}
