#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# install.sh BINARY
# Installs the built BINARY as /usr/local/bin/ethminer with its units, helpers
# and /etc/ethminer; enables them if SERVICE is yes. Files are replaced
# atomically.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

root=$ETHMINER_ROOT
units=$root/etc/systemd/system
binary=$(find "$scratch/build" "$scratch/source" -type f -name "$1" -perm -u+x 2>/dev/null | head -n 1)
[ -n "$binary" ] || fail "found no built $1 to install" "run the phase build too"

# Detect a missing library now, not when an instance boots.
if have ldd && missing=$(ldd "$binary" 2>/dev/null | grep 'not found'); then
	fail "the miner is linked against libraries that the instance lacks: $missing" "add their packages to build_packages"
fi

# Debug symbols would be most of the file.
cp "$binary" "$scratch/ethminer"
! have strip || strip "$scratch/ethminer" 2>/dev/null || true
files() {
	mkdir -p "$root/etc/ethminer" &&
		put 755 "$scratch/ethminer" "$root/usr/local/bin/ethminer" &&
		put 644 "$WORK/journald.conf" "$root/etc/systemd/journald.conf.d/ethminer.conf" || return
	for unit in "$WORK"/ethminer*.service "$WORK"/ethminer*.timer; do
		put 644 "$unit" "$units/${unit##*/}" || return
	done
	for helper in aws.sh gpu.sh config health metrics signal spot wait-gpu; do
		put 755 "$WORK/$helper" "$root/usr/local/lib/ethminer/$helper" || return
	done
}
files || fail "cannot write to $root/usr/local/bin and $root/etc" "allow the login user to run sudo without a password and keep execute_as_root = true"

# Pool and wallet are never part of an image.
rm -f "$root/etc/ethminer/ethminer.conf"

# The units' user. With ETHMINER_ROOT set there is no user database.
if [ -z "$root" ] && ! id ethminer >/dev/null 2>&1; then
	useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ethminer ||
		fail "cannot add the system user ethminer"
fi

# Some builds cannot print a version; the report then has "unknown".
version=$("$root/usr/local/bin/ethminer" -V 2>&1 </dev/null | awk 'NF { print; exit }') || version=
fact version "$version"
sum=$(sha256sum "$root/usr/local/bin/ethminer")
fact sum "${sum%% *}"

if [ "$SERVICE" = yes ]; then
	have systemctl ||
		fail "the instance has no systemctl to enable ethminer.service with" "set service = false, or start from an image with systemd"
	systemctl daemon-reload || true # systemd may not run, as in a container
	for unit in ethminer.service ethminer-config.service ethminer-signal.service ethminer-spot.service; do
		systemctl enable "$unit" || fail "systemctl cannot enable $unit"
	done
	if [ "$DEVICE" = cuda ] && systemctl cat nvidia-persistenced.service >/dev/null 2>&1; then
		systemctl enable nvidia-persistenced.service || true # wait-gpu enables persistence too
	fi
	# Like `systemctl enable`, but also works without a running systemd.
	for timer in ethminer-health.timer ethminer-metrics.timer; do
		{ mkdir -p "$units/timers.target.wants" && ln -sf "../$timer" "$units/timers.target.wants/$timer"; } ||
			fail "cannot enable $timer"
	done
fi
ok
