// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ami

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pace"
)

// usage is the highest number of goroutines and bytes of live heap objects.
type usage struct {
	goroutines int
	heap       uint64
}

// peak samples the usage until stop is called, which returns the highest.
func peak() (stop func() usage) {
	done, result := make(chan struct{}), make(chan usage)
	go func() {
		var highest usage
		var memory runtime.MemStats
		for {
			select {
			case <-done:
				result <- highest
				return
			case <-time.After(20 * time.Millisecond):
				runtime.ReadMemStats(&memory)
				highest.goroutines = max(highest.goroutines, runtime.NumGoroutine())
				highest.heap = max(highest.heap, memory.HeapAlloc)
			}
		}
	}()
	return func() usage { close(done); return <-result }
}

// TestScale builds up to 50 images at once in one process, each in 34 regions. The
// goroutines and the memory of a build do not depend on the number of builds, and all
// goroutines end.
func TestScale(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short: builds 60 images in 34 regions")
	}
	regions := make([]string, len(catalog.Regions))
	for i, region := range catalog.Regions {
		regions[i] = region.Name
	}
	// many builds n images at once.
	many := func(n int) usage {
		w := newWorld(t)
		w.aws = rehearsal.New(rehearsal.Config{AccessKey: "AKIATEST", SecretKey: "secret", OptIn: true, Pace: pace.Profile{Copy: time.Second}})
		t.Cleanup(func() { _ = w.aws.Close() })
		runtime.GC()
		before, stop := runtime.NumGoroutine(), peak()
		var builds sync.WaitGroup
		for i := range n {
			builds.Go(func() {
				name := fmt.Sprintf("rig-%d", i)
				if _, err := w.build(t, t.Context(), map[string]any{"ami_name": name, "ami_regions": regions}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		builds.Wait()
		highest := stop()
		images := 0
		for _, resources := range w.aws.Inventory() {
			for _, r := range resources {
				if r.Kind == "image" {
					images++
				}
			}
		}
		if images != n*len(regions) {
			t.Errorf("%d images, want %d", images, n*len(regions))
		}
		for range 100 { // connections and timers end later
			if runtime.NumGoroutine() <= before+n {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if left := runtime.NumGoroutine(); left > before+n {
			t.Errorf("%d goroutines after %d builds, %d before", left, n, before)
		}
		t.Logf("%2d images in %d regions at once: %d goroutines, %d MiB of heap with the simulated AWS", n, len(regions), highest.goroutines, highest.heap>>20)
		return highest
	}
	few, all := many(10), many(50)
	if got, most := all.goroutines, 2*5*few.goroutines; got > most {
		t.Errorf("50 builds have %d goroutines, 10 have %d; want at most %d", got, few.goroutines, most)
	}
	if got, most := all.heap, 2*5*few.heap; got > most {
		t.Errorf("50 builds have %d bytes of heap, 10 have %d; want at most %d", got, few.heap, most)
	}
}
