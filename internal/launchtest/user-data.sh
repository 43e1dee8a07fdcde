#!/bin/sh
# Starts the miner's benchmark as a service, with the device and the block of the
# image's own benchmark. It needs no pool and no wallet.
set -eu
umask 077
of() { sed -n 's/^  "'"$1"'": *"\{0,1\}\([^",]*\).*$/\1/p' /etc/ethminer/benchmark.json | head -n 1; }
case $(of device) in
cuda) device=-U ;;
cpu) device=--cpu ;;
*)
	echo "/etc/ethminer/benchmark.json names no device" >&2
	exit 1
	;;
esac
cat >/etc/ethminer/ethminer.conf <<END
ETHMINER_ARGS="$device --display-interval 1 -M $(of block) --api-bind 127.0.0.1:-21999"
END
systemctl start --no-block ethminer.service # the test waits for it
