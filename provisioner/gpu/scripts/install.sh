#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# install.sh BINARY
# Installs BINARY as /usr/local/bin/ethminer with its unit and /etc/ethminer;
# enables the unit if SERVICE is yes. Every file is replaced at once.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

binary=$1
root=$ETHMINER_ROOT

# put MODE FROM TO
put() {
	mkdir -p "${3%/*}"
	cp "$2" "$3.new"
	chmod "$1" "$3.new"
	mv -f "$3.new" "$3"
}

{
	mkdir -p "$root/etc/ethminer" &&
		put 755 "$binary" "$root/usr/local/bin/ethminer" &&
		put 644 "$WORK/ethminer.service" "$root/etc/systemd/system/ethminer.service"
} || fail "cannot write to $root/usr/local/bin and $root/etc" "let the login user run sudo without a password and keep execute_as_root = true"

# The unit's user; a root of its own has no user database to add to.
if [ -z "$root" ] && ! id ethminer >/dev/null 2>&1; then
	useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ethminer ||
		fail "cannot add the system user ethminer"
fi

# Some builds cannot say their version; the report then says unknown.
version=$("$root/usr/local/bin/ethminer" -V 2>&1 </dev/null | awk 'NF { print; exit }') || version=
fact version "${version:-unknown}"

if [ "$SERVICE" = yes ]; then
	have systemctl ||
		fail "the instance has no systemctl to enable ethminer.service with" "set service = false, or start from an image with systemd"
	systemctl daemon-reload || true # not running, as in a container: the files count
	systemctl enable ethminer.service ||
		fail "systemctl cannot enable ethminer.service"
fi
ok
