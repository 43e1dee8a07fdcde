// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package instance

import (
	"strings"
	"testing"
)

// install adds a unit to a machine.
func (g *guest) install(name, unit string) {
	g.t.Helper()
	if o := g.try("sudo tee /etc/systemd/system/"+name, unit); o.status != 0 {
		g.t.Fatal(o.stderr)
	}
}

// Enabled services run after a boot, as their units define; those of the host do not.
func TestEnabledServices(t *testing.T) {
	g := newSite(t).start()
	g.run(`sudo sh -ec 'useradd --system --shell /usr/sbin/nologin miner; mkdir -p /etc/miner /var/lib/out; chown miner /var/lib/out
		printf "# a comment\nRATE=\"4 2\"\nARGS=--one --two\n" >/etc/miner/miner.conf'`)
	g.install("miner.service", `[Unit]
Description=a miner
After=network-online.target first.service
Wants=network-online.target
ConditionPathExists=/etc/miner/miner.conf

[Service]
User=miner
Environment=LC_ALL=C "GREETING=hello there"
EnvironmentFile=/etc/miner/miner.conf
WorkingDirectory=/var/lib/out
ExecStartPre=/bin/sh -c 'test -e /var/lib/first'
ExecStart=/bin/sh -c 'id -un >who; pwd >where; echo "$$GREETING|$$RATE|$$#|$$*" >args; exec sleep 1000' \
    name $ARGS ${RATE}
Restart=always
ProtectSystem=strict

[Install]
WantedBy=multi-user.target
`)
	g.install("first.service", `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/touch /var/lib/first
ExecStart=/bin/sh -c 'echo first speaks'
[Install]
WantedBy=multi-user.target
`)
	g.install("never.service", "[Service]\nExecStart=/bin/touch /var/lib/never\n[Install]\nWantedBy=multi-user.target\n")
	g.run("sudo systemctl daemon-reload && sudo systemctl enable miner first.service never && sudo systemctl disable never")
	if o := g.try("systemctl is-active miner", ""); o.stdout != "inactive\n" || o.status != 3 {
		t.Errorf("enabled but not started: %+v", o)
	}
	if err := g.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "miner.service", func() bool { return g.try("systemctl is-active miner && test -s /var/lib/out/args", "").status == 0 })
	for command, want := range map[string]string{
		"cat /var/lib/out/who /var/lib/out/where /var/lib/out/args":               "miner\n/var/lib/out\nhello there|4 2|3|--one --two 4 2",
		"systemctl is-active first":                                               "active",
		"systemctl is-enabled miner":                                              "enabled",
		"sudo cat /run/rehearsal/log/first.service.log":                           "first speaks",
		"sudo journalctl --no-pager -u first":                                     "first speaks",
		"test -e /var/lib/never || echo no":                                       "no",
		"systemctl show -p MainPID --value miner | xargs ps -o user= -o args= -p": "miner    sleep 1000",
	} {
		if got := g.run(command); got != want {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	// Restart=always
	pid := g.run("systemctl show -p MainPID --value miner")
	g.run("sudo kill -KILL " + pid)
	waitFor(t, "restart", func() bool {
		now := g.run("systemctl show -p MainPID --value miner")
		return now != pid && now != "0"
	})
	g.run("sudo systemctl stop miner; ! pgrep sleep")
	if o := g.try("systemctl status miner", ""); o.status != 3 {
		t.Errorf("after stop: %+v", o)
	}
	g.run("sudo systemctl start miner && sudo systemctl restart miner && systemctl is-active miner")
}

// A service with too many failures is failed, and a start reports the error.
func TestFailingService(t *testing.T) {
	g := newSite(t).start()
	g.install("bad.service", "[Service]\nExecStart=/bin/sh -c 'echo why >&2; exit 3'\nRestart=on-failure\nRestartSec=1ms\n")
	g.run("sudo systemctl start bad") // Type=simple: a start succeeds after the fork
	waitFor(t, "start limit", func() bool { return g.try("systemctl is-failed bad", "").status == 0 })
	if got := g.run("grep -c why /run/rehearsal/log/bad.service.log 2>/dev/null || sudo grep -c why /run/rehearsal/log/bad.service.log"); got != "5" {
		t.Errorf("got %s starts, want 5", got)
	}
	g.install("bad.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
	g.run("sudo systemctl reset-failed bad")
	if o := g.try("sudo systemctl start bad", ""); o.status == 0 || !strings.Contains(o.stderr, "exit status 1") {
		t.Errorf("got %+v", o)
	}
}

// systemctl rejects unsupported requests and users without permission.
func TestSystemctlUnsupported(t *testing.T) {
	g := newSite(t).start()
	g.install("dbus-one.service", "[Service]\nType=dbus\nBusName=x.y\nExecStart=/bin/true\n")
	g.install("odd.service", "[Service]\nRootDirectory=/srv\nExecStart=/bin/true\n")
	g.install("wanting.service", "[Unit]\nRequires=no-such.service\n[Service]\nExecStart=/bin/true\n")
	g.install("good.service", "[Service]\nExecStart=/bin/sleep 100\n[Install]\nWantedBy=multi-user.target\n")
	for command, says := range map[string]string{
		"sudo systemctl isolate rescue.target":                       "rehearsal systemctl cannot isolate",
		"sudo systemctl start apt-daily.timer":                       "only services are supported, not a timer",
		"sudo systemctl enable x.socket":                             "only services are supported, not a socket",
		"sudo systemctl start no-such":                               "no-such.service not found",
		"sudo systemctl enable no-such":                              "no-such.service not found",
		"sudo systemctl start dbus-one":                              "BusName, which is not supported",
		"sudo systemctl start odd":                                   "RootDirectory, which is not supported",
		"sudo systemctl start wanting":                               "requires no-such.service",
		"sudo systemctl --user start good":                           "rehearsal systemctl cannot use the option --user",
		"sudo systemctl set-property good A=b":                       "rehearsal systemctl cannot set-property",
		"systemctl start good":                                       "only root may",
		"systemctl enable good":                                      "only root may",
		"sudo systemctl mask good":                                   "already exists",
		"systemctl show -p CPUUsageNSec good":                        "cannot show the property CPUUsageNSec",
		"sudo systemctl mask other; sudo systemctl start other":      "other.service is masked",
		"systemctl is-enabled nothing":                               "Failed to get unit file state",
		"systemctl":                                                  "rehearsal systemctl cannot",
		"journalctl -f":                                              "rehearsal journalctl cannot",
		"sudo systemctl start good; systemctl stop good":             "only root may",
		"sudo systemctl start odd good; systemctl is-active odd >&2": "inactive",
	} {
		if o := g.try(command, ""); o.status == 0 || !strings.Contains(o.stderr, says) {
			t.Errorf("%s: got %+v, want a failure that contains %q", command, o, says)
		}
	}
}
