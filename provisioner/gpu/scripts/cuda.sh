#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# cuda.sh REPOSITORY KEYRING_SHA256 PACKAGES...
# Unpacks the CUDA toolkit from NVIDIA's network repository into $scratch/cuda.
# It is not installed, to keep it off the root volume: only the build needs the
# compiler. PACKAGES must include all dependencies.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

repository=$1 sum=$2
shift 2
cuda=$scratch/cuda
mkdir -p "$cuda/apt/lists/partial" "$cuda/apt/cache/archives/partial"
cd "$cuda"

remedy="check that the instance can reach it (route, security group, DNS), or start from an image with the toolkit, such as a Deep Learning AMI"
curl -fsSL --retry 3 -o keyring.deb "$repository/cuda-keyring_1.1-1_all.deb" ||
	fail "curl cannot fetch $repository/cuda-keyring_1.1-1_all.deb" "$remedy"
echo "$sum  keyring.deb" | sha256sum -c - >/dev/null 2>&1 ||
	fail "$repository/cuda-keyring_1.1-1_all.deb has the SHA-256 $(sha256sum keyring.deb | cut -d ' ' -f 1), expected $sum" "the file has changed since this plugin was released: use an image with the toolkit until you know why"
dpkg-deb -x keyring.deb keyring

# Separate apt folders leave the image's lists and sources unchanged.
echo "deb [signed-by=$cuda/keyring/usr/share/keyrings/cuda-archive-keyring.gpg] $repository /" >apt/sources.list
toolkit_apt() {
	# grep below needs uncompressed lists.
	apt -o Acquire::GzipIndexes=false -o "Dir::Etc::sourcelist=$cuda/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o "Dir::State::lists=$cuda/apt/lists" -o "Dir::Cache=$cuda/apt/cache" -o APT::Sandbox::User=root "$@"
}
toolkit_apt update || fail "apt-get cannot read $repository" "$remedy"
for package in "$@"; do
	shift
	case $package in
	*'?')
		package=${package%'?'}
		grep -qx "Package: $package" "$cuda"/apt/lists/*_Packages 2>/dev/null || continue
		;;
	esac
	set -- "$@" "$package"
done
mkdir -p debs
cd debs
toolkit_apt download "$@" || fail "apt-get cannot download $*" "$remedy"
for deb in *.deb; do
	dpkg-deb -x "$deb" "$cuda" || fail "dpkg-deb cannot unpack $deb"
done
cd "$cuda"
rm -rf debs apt keyring keyring.deb

for nvcc in "$cuda"/usr/local/cuda-*/bin/nvcc; do
	[ -x "$nvcc" ] || fail "the packages $* contain no nvcc"
	# CMake's FindCUDA expects these two below the root.
	root=${nvcc%/bin/nvcc}
	for target in "$root"/targets/*; do
		[ -e "$root/include" ] || ln -s "targets/${target##*/}/include" "$root/include"
		[ -e "$root/lib64" ] || ln -s "targets/${target##*/}/lib" "$root/lib64"
	done
	describe_toolkit "$nvcc"
	break
done
ok
