#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# benchmark.sh SECONDS ARGS...
# Runs the miner with ARGS, and with the pool in SECRET if that is set. With UNIT=yes
# systemd runs a copy of the installed unit: same user, sandbox and command line.
# The miner ends when the plugin stops the process group, or after SECONDS.
# Reaching the end of this script means that the miner exited unexpectedly.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

seconds=$1
shift
if [ -n "${SECRET:-}" ]; then
	set -- "$@" -P "$SECRET"
	unset SECRET
fi

if [ "${UNIT:-no}" != yes ]; then
	# Number devices by PCI bus, as nvidia-smi does.
	export CUDA_DEVICE_ORDER=PCI_BUS_ID
	status=0
	"$ETHMINER_ROOT/usr/local/bin/ethminer" --nocolor --stdout "$@" || status=$?
	fail "exit code $status"
fi

unit=ethminer-benchmark.service
installed=/etc/systemd/system/ethminer.service
here=/run/ethminer-benchmark
systemctl stop "$unit" 2>/dev/null || true
rm -rf "$here" "/run/systemd/system/$unit" "/run/systemd/system/$unit.d" "/run/$unit.starts"
mkdir -m 700 "$here"
mkdir -p "/run/systemd/system/$unit.d"
cp "$installed" "/run/systemd/system/$unit"
for conf in "$installed.d"/*.conf; do
	[ ! -f "$conf" ] || cp "$conf" "/run/systemd/system/$unit.d/"
done
(umask 077 && printf 'ETHMINER_ARGS=%s\n' "$*" >"$here/args")
cat >"/run/systemd/system/$unit.d/zz-benchmark.conf" <<END
[Unit]
ConditionPathExists=
[Service]
EnvironmentFile=
EnvironmentFile=$here/args
Environment=CUDA_DEVICE_ORDER=PCI_BUS_ID
Restart=no
RuntimeMaxSec=$seconds
StandardOutput=append:$here/log
StandardError=append:$here/log
END
: >"$here/log"
systemctl daemon-reload
began=$(date '+%Y-%m-%d %H:%M:%S')

tail=
# shellcheck disable=SC2317 # the trap calls it
end() {
	systemctl --no-block stop "$unit" || true
	[ -z "$tail" ] || kill "$tail" 2>/dev/null || true
	exit 1
}
trap end INT TERM
if ! systemctl start "$unit"; then
	cat "$here/log"
	journalctl -q -o cat -n 5 -u "$unit" --since "$began" 2>/dev/null || true
	fail "ethminer.service does not start" "see the lines above; on an instance: systemctl status ethminer"
fi
pid=$(systemctl show -p MainPID --value "$unit")
if [ "$pid" -gt 0 ]; then
	tail -n +1 -f --pid="$pid" "$here/log" &
	tail=$!
	wait "$tail" || true
else # already exited
	cat "$here/log"
fi
fail "exit code $(systemctl show -p ExecMainStatus --value "$unit"), as ethminer.service runs it"
