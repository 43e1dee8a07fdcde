#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Reports what the instance is. Read-only.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

root=$ETHMINER_ROOT

[ "$(uname -s)" = Linux ] ||
	fail "the instance runs $(uname -s), expected Linux" "choose a Debian or Ubuntu image as source_ami"

distribution=unknown
if [ -r "$root/etc/os-release" ]; then
	# shellcheck disable=SC1091
	distribution=$(unset ID VERSION_ID && . "$root/etc/os-release" && echo "${ID:-unknown} ${VERSION_ID:-}")
fi
fact distribution "$distribution"
fact kernel "$(uname -r)"
fact arch "$(uname -m)"
fact cores "$(nproc)"
fact free_mb "$(df -Pm "$WORK" | awk 'NR == 2 { print $4 }')"
fact memory_mb "$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)"
fact used_kb "$(used)"

# /proc/cpuinfo has no model name on arm; lscpu does.
cpu=$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)
if [ -z "$cpu" ] && have lscpu; then
	cpu=$(lscpu | awk -F ': *' '/^Model name/ { print $2; exit }')
fi
fact cpu "${cpu:-unknown}"

# NVIDIA's VGA and 3D controllers on the PCI bus, with or without a driver.
for vendor in "$root"/sys/bus/pci/devices/*/vendor; do
	[ -r "$vendor" ] || continue
	class=$(cat "${vendor%/*}/class")
	case "$(cat "$vendor") $class" in
	"0x10de 0x0300"* | "0x10de 0x0302"*) fact pci_gpu "$(cat "${vendor%/*}/device" 2>/dev/null || echo unknown)" ;;
	esac
done

# Instance-store disks. They are empty after each start.
for model in "$root"/sys/block/nvme*/device/model; do
	[ -r "$model" ] || continue
	case "$(cat "$model")" in
	"Amazon EC2 NVMe Instance Storage"*)
		disk=${model%/device/model}
		fact instance_store "/dev/${disk##*/}"
		;;
	esac
done

# Only EC2 has the metadata service; elsewhere the address may be another host.
case "$(cat "$root/sys/class/dmi/id/sys_vendor" 2>/dev/null || true)" in
"Amazon EC2"*)
	imds=${IMDS:-http://169.254.169.254}
	if token=$(curl -fsS -m 2 --noproxy '*' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/latest/api/token" 2>/dev/null) &&
		type=$(curl -fsS -m 2 --noproxy '*' -H "X-aws-ec2-metadata-token: $token" "$imds/latest/meta-data/instance-type" 2>/dev/null); then
		fact instance_type "$type"
	fi
	;;
esac

if have nvidia-smi; then
	if gpus=$(nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader 2>&1); then
		printf '%s\n' "$gpus" | while IFS= read -r gpu; do
			[ -z "$gpu" ] || fact gpu "$gpu"
		done
	else
		fact driver_error "$gpus"
	fi
fi

# An image may have several toolkits and links to them.
for candidate in "$(command -v nvcc || true)" "$root"/usr/local/cuda/bin/nvcc "$root"/usr/local/cuda-*/bin/nvcc "$WORK"/scratch/cuda/usr/local/cuda-*/bin/nvcc; do
	[ ! -x "$candidate" ] || describe_toolkit "$candidate"
done

# Phases that earlier runs finished: see phase.go.
for stamp in "$root"/etc/ethminer/phases/* "$WORK"/stamps/*; do
	[ -f "$stamp" ] || continue
	fact stamp "${stamp##*/} $(cat "$stamp")"
done
if [ -f "$root/usr/local/bin/ethminer" ]; then
	sum=$(sha256sum "$root/usr/local/bin/ethminer")
	fact installed "${sum%% *}"
	# Some builds cannot print a version.
	version=$("$root/usr/local/bin/ethminer" -V 2>&1 </dev/null | awk 'NF { print; exit }') || version=
	fact version "$version"
fi
if [ -f "$root/etc/ethminer/benchmark.json" ]; then
	fact report "$(base64 <"$root/etc/ethminer/benchmark.json" | tr -d '\n')"
fi
ok
