// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"strings"
	"testing"
)

// A captured layer contains the machine's files and deletions.
func TestCapture(t *testing.T) {
	for _, running := range []bool{true, false} {
		name := map[bool]string{true: "running", false: "stopped"}[running]
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			g := s.start()
			g.run(`sudo sh -ec '
				echo one >/usr/local/bin/one
				ln /usr/local/bin/one /usr/local/bin/same
				cp /bin/true /usr/local/bin/set; chmod 4755 /usr/local/bin/set; chown 7:8 /usr/local/share; touch -d @1000 /usr/local/bin/one
				ln -s one /usr/local/bin/link; mkfifo /usr/local/bin/fifo
				rm /etc/debian_version /etc/os-release
				rm -r /etc/skel; mkdir /etc/skel; echo new >/etc/skel/new
				mv /usr/share/doc /usr/share/moved'`)
			if !running {
				if err := g.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := g.Capture(t.Context(), "image"); err != nil {
				t.Fatal(err)
			}
			if err := g.Capture(t.Context(), "image"); err == nil {
				t.Error("a layer name was accepted twice")
			}
			if !running {
				if err := g.Boot(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			const check = `cat /usr/local/bin/one; stat -c '%h %Y' /usr/local/bin/same; stat -c %a /usr/local/bin/set; stat -c %u:%g /usr/local/share
				readlink /usr/local/bin/link; stat -c %F /usr/local/bin/fifo
				ls /etc/debian_version /etc/os-release /usr/share/doc 2>/dev/null; ls -A /etc/skel; ls /usr/share/moved | wc -l`
			before := g.run(check)
			want := "one\n2 1000\n4755\n7:8\none\nfifo\nnew\n"
			if !strings.HasPrefix(before, want) {
				t.Fatalf("files of the machine:\n%swant\n%s", before, want)
			}
			g.run("echo two | sudo tee /usr/local/bin/later") // not in the image
			h := s.start(func(s *Spec) { s.Layer = "image" })
			if got := h.run(check); got != before {
				t.Errorf("files from the image:\n%s\nfiles of the machine:\n%s", got, before)
			}
			if o := h.try("cat /usr/local/bin/later", ""); o.status == 0 {
				t.Error("the image contains a file written after the capture")
			}
			// cloud-init sees a new instance, and makes its keys. The machine id is the
			// image's, as on EC2: who makes an image empties the file.
			const instance = "cat /var/lib/cloud/data/instance-id"
			if a, b := g.run(instance), h.run(instance); a == b {
				t.Errorf("both instances are %s for cloud-init", a)
			}
			const hostKey = "cat /etc/ssh/ssh_host_ed25519_key.pub"
			if a, b := g.run(hostKey), h.run(hostKey); a == b {
				t.Error("the instance of the image has the first instance's host key")
			}
			if err := s.host.Drop("image"); err != nil {
				t.Fatal(err)
			}
			if err := s.host.Drop("image"); err == nil {
				t.Error("the layer was dropped twice")
			}
			if got := h.run(check); got != before {
				t.Errorf("files after the layer was dropped:\n%s", got)
			}
			// An image of an image.
			if err := h.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := h.Capture(t.Context(), "second"); err != nil {
				t.Fatal(err)
			}
			if err := g.Terminate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := h.Terminate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := s.start(func(s *Spec) { s.Layer = "second" }).run(check); got != before {
				t.Errorf("files from an image of an image:\n%s", got)
			}
		})
	}
}

// Start rejects missing layers and incomplete specs.
func TestStartRejectsInvalidSpec(t *testing.T) {
	s := newSite(t)
	for name, spec := range map[string]Spec{
		"unknown layer": {ID: "i-1", User: "ubuntu", Address: "127.77.9.250", Layer: "none"},
		"no address":    {ID: "i-1", User: "ubuntu"},
		"not loopback":  {ID: "i-1", User: "ubuntu", Address: "192.0.2.1"},
		"no user":       {ID: "i-1", Address: "127.77.9.250"},
	} {
		if _, err := s.host.Start(t.Context(), spec); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}
