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
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// writerEnv makes the test binary a writer, which updates the file named there
// repeatedly until it is killed. firstEnv is the number of its first content.
const (
	writerEnv = "ATOMICFILE_TEST_WRITER"
	firstEnv  = "ATOMICFILE_TEST_FIRST"
)

// userEnv makes the test binary a non-root user, which updates or reads the file
// named there, and prints the error.
const userEnv = "ATOMICFILE_TEST_USER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerEnv); path != "" {
		writer(path)
	}
	if path := os.Getenv(userEnv); path != "" {
		b, err := Read(path)
		if err == nil {
			_, err = Update(context.Background(), path, func([]byte) ([]byte, error) { return append(b, 'y'), nil })
		}
		if err != nil {
			fmt.Print(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// contents returns the content of a writer: lines of one letter, and their number
// at the end, so that a partial or mixed content is detected.
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
	first, _ := strconv.Atoi(os.Getenv(firstEnv))
	for i := first; ; i++ {
		_, err := Update(context.Background(), path, func([]byte) ([]byte, error) {
			return contents(byte('a'+i%26), 100+i%900), nil
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if i == first {
			fmt.Println("writing")
		}
	}
}

// TestKill kills a writer at 1,000 random moments. Each time the file must be
// complete and the lock free.
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
		cmd.Env = append(os.Environ(), writerEnv+"="+path, fmt.Sprintf("%s=%d", firstEnv, 31*i))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "writing\n" {
			t.Fatalf("kill %d: got %q, %v from the writer", i, line, err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(3 * time.Millisecond)))) //nolint:gosec // when to kill
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		b, err := os.ReadFile(path)
		if err != nil || !whole(b) {
			t.Fatalf("kill %d: got an incomplete file: %d bytes, %v", i, len(b), err)
		}
		seen[len(b)] = true
	}
	if len(seen) < 3 {
		t.Errorf("got %d different contents in %d runs: the writers did not write", len(seen), kills)
	}
	// A killed writer leaves at most one temporary file.
	if _, err := Update(context.Background(), path, func([]byte) ([]byte, error) { return contents('y', 1), nil }); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".file.tmp-*"))
	if len(left) > 0 {
		t.Errorf("got %d temporary files of killed writers, want at most 1: the next writer removes them", len(left))
	}
}

// TestManyWriters checks that no update of concurrent writers is lost.
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
		t.Errorf("got %d files, want only the one written (%v)", len(files), err)
	}
	for i := range writers {
		if n := strings.Count(string(b), fmt.Sprintf("writer %d\n", i)); n != rounds {
			t.Errorf("writer %d: got %d updates in the file, want %d", i, n, rounds)
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
			t.Error("got a file, want none")
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
	t.Run("a symlink is kept and its target written, even if it does not exist yet", func(t *testing.T) {
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
	t.Run("a read-only file is rejected, even if it could be replaced", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o444); err != nil {
			t.Fatal(err)
		}
		wrote, err := Update(ctx, path, set("y"))
		if wrote || err == nil || !strings.Contains(err.Error(), path+" is read-only (mode 0444); run ") {
			t.Errorf("wrote %v, %v", wrote, err)
		}
		if b, _ := os.ReadFile(path); string(b) != "x" {
			t.Errorf("the file has %q", b)
		}
		if wrote, err := Update(ctx, path, set("x")); wrote || err != nil {
			t.Errorf("nothing to change: %v, %v", wrote, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); deletesOpen && len(left) != 1 {
			t.Errorf("files are left: %v", left)
		}
	})
	t.Run("a folder is rejected", func(t *testing.T) {
		if _, err := Update(ctx, t.TempDir(), set("x")); err == nil {
			t.Error("no error")
		}
	})
}

// TestChangedMeanwhile: what a program that ignores the lock saves between the read and
// the write is not overwritten.
func TestChangedMeanwhile(t *testing.T) {
	for _, test := range []struct {
		name, before string
		saves        int // by the other program, the n-th writes "saved n"
		want         string
	}{
		{"once", "old", 1, "saved 1+"},
		{"a file that did not exist", "", 1, "saved 1+"},
		{"several times", "old", changeTries - 1, fmt.Sprintf("saved %d+", changeTries-1)},
		{"all the time", "old", changeTries, fmt.Sprintf("saved %d", changeTries)},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if test.before != "" {
				if err := os.WriteFile(path, []byte(test.before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			calls := 0
			wrote, err := Update(t.Context(), path, func(old []byte) ([]byte, error) {
				if calls++; calls <= test.saves {
					if err := os.WriteFile(path, fmt.Appendf(nil, "saved %d", calls), 0o600); err != nil {
						t.Error(err)
					}
				}
				return append(old, '+'), nil
			})
			complete := strings.HasSuffix(test.want, "+")
			if wrote != complete || (err == nil) != complete || err != nil && !strings.Contains(err.Error(), "f: another program changed the file meanwhile") {
				t.Errorf("wrote %v, %v", wrote, err)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != test.want {
				t.Errorf("the file has %q, %v; want %q", b, err, test.want)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); deletesOpen && len(left) != 1 {
				t.Errorf("files are left: %v", left)
			}
		})
	}
}

// TestUpdateRejectsDevice: a device cannot be replaced by a file.
func TestUpdateRejectsDevice(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED: needs a device file, which Windows does not have")
	}
	_, err := Update(t.Context(), os.DevNull, func([]byte) ([]byte, error) {
		t.Error("got the device changed")
		return nil, nil
	})
	if err == nil || !strings.Contains(err.Error(), os.DevNull+" is a pipe or a device, which cannot be replaced; expected a file") {
		t.Errorf("got %v", err)
	}
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
