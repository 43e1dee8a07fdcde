#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Says what the instance is. Changes nothing.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

[ "$(uname -s)" = Linux ] ||
	fail "the instance runs $(uname -s), expected Linux" "choose a Debian or Ubuntu image as source_ami"

distribution=unknown
if [ -r /etc/os-release ]; then
	# shellcheck disable=SC1091
	distribution=$(. /etc/os-release && printf '%s %s' "${ID:-unknown}" "${VERSION_ID:-}")
fi
fact distribution "$distribution"
fact arch "$(uname -m)"
fact cores "$(nproc)"
fact free_mb "$(df -Pm "$WORK" | awk 'NR == 2 { print $4 }')"
fact memory_mb "$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)"

# x86 says "model name", arm only part numbers: lscpu knows their names.
cpu=$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)
if [ -z "$cpu" ] && have lscpu; then
	cpu=$(lscpu | awk -F ': *' '/^Model name/ { print $2; exit }')
fi
fact cpu "${cpu:-unknown}"

for vendor in /sys/bus/pci/devices/*/vendor; do
	[ -r "$vendor" ] || continue
	class=$(cat "${vendor%/*}/class")
	case "$(cat "$vendor") $class" in
	"0x10de 0x0300"* | "0x10de 0x0302"*) fact pci_gpu "${vendor%/vendor}" ;;
	esac
done

if have nvidia-smi; then
	if gpus=$(nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader 2>&1); then
		printf '%s\n' "$gpus" | while IFS= read -r gpu; do
			[ -z "$gpu" ] || fact gpu "$gpu"
		done
	else
		fact driver_error "$gpus"
	fi
fi

for nvcc in "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
	if [ -x "$nvcc" ]; then
		fact nvcc "$nvcc"
		break
	fi
done
ok
