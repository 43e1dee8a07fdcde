// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package reportpage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/eth-mining/packer-plugin-ethminer/internal/summary"
)

// browser starts a headless Chromium.
func browser(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: starts a browser; run without -short")
	}
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("SKIPPED: requires chromium, which renders the pages; install the package chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return ctx
}

// axe returns the script of axe-core, an independent judge of accessibility.
func axe(t *testing.T) string {
	t.Helper()
	file := filepath.Join(os.Getenv("ETHMINER_BUILD"), "judges/node_modules/axe-core/axe.min.js")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Skip("SKIPPED: requires axe-core, which judges the accessibility; run: npm install --prefix build/judges axe-core, and set ETHMINER_BUILD to build/")
	}
	return string(text)
}

// save writes a page to a file and returns its address.
func save(t *testing.T, in Input) string {
	t.Helper()
	var page bytes.Buffer
	if err := Write(&page, in); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, page.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return (&url.URL{Scheme: "file", Path: file}).String()
}

// events collects the console's messages and the requests of a page.
type events struct {
	mu       sync.Mutex
	messages []string
	requests []string
}

func listen(t *testing.T, ctx context.Context) *events {
	t.Helper()
	e := new(events)
	err := chromedp.Listen(ctx, func(event any) {
		e.mu.Lock()
		defer e.mu.Unlock()
		switch v := event.(type) {
		case *runtime.EventConsoleAPICalled:
			e.messages = append(e.messages, fmt.Sprintf("%s %+v", v.Type, v.Args))
		case *runtime.EventExceptionThrown:
			e.messages = append(e.messages, fmt.Sprintf("%+v", v.ExceptionDetails))
		case *log.EventEntryAdded:
			e.messages = append(e.messages, fmt.Sprintf("%s: %s", v.Entry.Level, v.Entry.Text))
		case *network.EventRequestWillBeSent:
			e.requests = append(e.requests, v.Request.URL)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// taken returns the messages and requests since the last call.
func (e *events) taken() (messages, requests []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	messages, requests = e.messages, e.requests
	e.messages, e.requests = nil, nil
	return messages, requests
}

// pages are the inputs that the browser renders.
func pages(t *testing.T) map[string]Input {
	return map[string]Input{"full": full(t, 1), "eight GPUs": full(t, 8), "rehearsal": rehearsed(t), "bare": {Build: summary.Build{}}, "hostile": hostile(t)}
}

// TestBrowser renders each page at two widths in both themes: without a message in the
// console, without a request, and without horizontal scrolling of the page. Set
// ETHMINER_SCREENSHOTS to a folder to keep the pictures.
func TestBrowser(t *testing.T) {
	ctx := browser(t)
	seen := listen(t, ctx)
	folder := os.Getenv("ETHMINER_SCREENSHOTS")
	for name, in := range pages(t) {
		address := save(t, in)
		for _, width := range []int64{360, 1440} {
			for _, theme := range []string{"light", "dark"} {
				size, picture, err := look(ctx, address, width, theme)
				if err != nil {
					t.Fatalf("%s at %d, %s: %v", name, width, theme, err)
				}
				messages, requests := seen.taken()
				if len(messages) > 0 {
					t.Errorf("%s at %d, %s: messages in the console: %q", name, width, theme, messages)
				}
				for _, request := range requests {
					if request != address && !strings.HasPrefix(request, "data:") {
						t.Errorf("%s at %d, %s: requested %s", name, width, theme, request)
					}
				}
				if size.Page > size.Window || size.Window != int(width) {
					t.Errorf("%s at %d, %s: the page is %d wide, the window %d", name, width, theme, size.Page, size.Window)
				}
				if size.Hidden > 0 || size.Buttons == 0 && name != "bare" {
					t.Errorf("%s at %d, %s: %d of %d copy buttons are hidden", name, width, theme, size.Hidden, size.Buttons)
				}
				if want := strings.Count(string(mustRead(t, address)), `class="plot"`); size.Plots != want {
					t.Errorf("%s at %d, %s: %d of %d charts have a size and a title", name, width, theme, size.Plots, want)
				}
				if dark := size.Background != "rgb(255, 255, 255)"; dark != (theme == "dark") {
					t.Errorf("%s at %d: the background is %s in the %s theme", name, width, size.Background, theme)
				}
				if folder != "" {
					file := filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", strings.ReplaceAll(name, " ", "-"), width, theme))
					if err := os.WriteFile(file, picture, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// layout is what the browser measures of a page. Plots counts the charts of a readable
// width with a title.
type layout struct {
	Page, Window, Buttons, Hidden, Plots int
	Background                           string
}

// open loads a page at a width in a theme.
func open(ctx context.Context, address string, width int64, theme string) error {
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		return err
	}
	return chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(address))
}

// look opens a page, measures it, and takes a picture.
func look(ctx context.Context, address string, width int64, theme string) (size layout, picture []byte, err error) {
	if err := open(ctx, address, width, theme); err != nil {
		return size, nil, err
	}
	size, err = chromedp.Run(ctx, chromedp.Evaluate[layout](`({
		page: document.documentElement.scrollWidth, window: window.innerWidth,
		buttons: document.querySelectorAll('button').length, hidden: document.querySelectorAll('button[hidden]').length,
		plots: [...document.querySelectorAll('svg.plot')].filter(s => s.getBoundingClientRect().width >= 280 && s.querySelector('title')).length,
		background: getComputedStyle(document.body).backgroundColor,
	})`))
	if err != nil {
		return size, nil, err
	}
	picture, err = chromedp.Run(ctx, chromedp.FullScreenshot(100))
	return size, picture, err
}

func mustRead(t *testing.T, address string) []byte {
	t.Helper()
	text, err := os.ReadFile(strings.TrimPrefix(address, "file://"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestPrint: on paper, the dark theme is light, tables are not cut off, and there are no
// buttons.
func TestPrint(t *testing.T) {
	ctx := browser(t)
	if err := open(ctx, save(t, full(t, 1)), 800, "dark"); err != nil {
		t.Fatal(err)
	}
	const script = `[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('.scroll')).overflowX,
		getComputedStyle(document.querySelector('button')).display].join(' ')`
	for media, want := range map[string]string{"screen": "rgb(17, 21, 26) auto inline-block", "print": "rgb(255, 255, 255) visible none"} {
		params := emulation.SetEmulatedMediaParams{Media: media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, params); err != nil {
			t.Fatal(err)
		}
		if got, err := chromedp.Run(ctx, chromedp.Evaluate[string](script)); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", media, got, err, want)
		}
	}
}

// TestCopy: a button copies an image id, and tells it to screen readers.
func TestCopy(t *testing.T) {
	ctx := browser(t)
	err := chromedp.Do(ctx,
		chromedp.Navigate(save(t, full(t, 1))),
		// A headless browser has no clipboard: the test takes its place.
		chromedp.Evaluate[chromedp.Void](`navigator.clipboard.writeText = async text => { window.copied = text }`),
		chromedp.Click(`button[data-copy="ami-0aaaaaaaaaaaaaaa2"]`),
	)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := chromedp.Run(ctx, chromedp.Poll[string](`window.copied`))
	if err != nil || copied != "ami-0aaaaaaaaaaaaaaa2" {
		t.Errorf("copied %q, %v", copied, err)
	}
	status, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('[role=status]').textContent`))
	if err != nil || status != "Copied ami-0aaaaaaaaaaaaaaa2" {
		t.Errorf("got the status %q, %v", status, err)
	}
}

// TestAccessibility: axe-core finds nothing wrong with the pages in either theme, also
// with contrast (WCAG 2.2, level AA).
func TestAccessibility(t *testing.T) {
	ctx := browser(t)
	script := axe(t)
	for name, in := range pages(t) {
		address := save(t, in)
		for _, theme := range []string{"light", "dark"} {
			if err := open(ctx, address, 360, theme); err != nil { // the narrow page scrolls its tables
				t.Fatalf("%s, %s: %v", name, theme, err)
			}
			if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](script)); err != nil {
				t.Fatalf("%s, %s: %v", name, theme, err)
			}
			found, err := chromedp.Run(ctx, chromedp.Evaluate[struct {
				Passes     int
				Violations []json.RawMessage
			}](`axe.run().then(r => ({
				passes: r.passes.length,
				violations: r.violations.map(v => ({rule: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary)})),
			}))`, chromedp.EvalAwaitPromise))
			if err != nil {
				t.Fatalf("%s, %s: %v", name, theme, err)
			}
			for _, v := range found.Violations {
				t.Errorf("%s, %s: %s", name, theme, v)
			}
			if found.Passes < 15 {
				t.Errorf("%s, %s: only %d rules passed; did axe run?", name, theme, found.Passes)
			}
		}
	}
}

// TestBrowserDetects: the tests above can fail: the browser reports a message, a blocked
// request and a missing title.
func TestBrowserDetects(t *testing.T) {
	ctx := browser(t)
	seen := listen(t, ctx)
	var page bytes.Buffer
	if err := Write(&page, full(t, 1)); err != nil {
		t.Fatal(err)
	}
	bad := strings.Replace(page.String(), "<h2", `<img src="https://example.org/x.png"><script>alert(1)</script><p style="width: 9999px">x</p><h2`, 1)
	file := filepath.Join(t.TempDir(), "bad.html")
	if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate("file://"+file)); err != nil {
		t.Fatal(err)
	}
	messages, _ := seen.taken()
	all := strings.Join(messages, "\n")
	for _, want := range []string{"https://example.org/x.png", "inline script", "inline style"} {
		if !strings.Contains(all, want) {
			t.Errorf("got no message about %q:\n%s", want, all)
		}
	}
}
