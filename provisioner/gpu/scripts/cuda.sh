#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# cuda.sh REPOSITORY KEYRING_SHA256 PACKAGES...
# Unpacks the CUDA toolkit from NVIDIA's network repository into $scratch/cuda.
# It is not installed: only the compiler is needed, and only until the miner is
# built, so that nothing of it comes to the root volume. PACKAGES include what
# they depend on, by name.

# shellcheck source=provisioner/gpu/scripts/lib.sh
. "$WORK/lib.sh"

repository=$1 sum=$2
shift 2
cuda=$scratch/cuda
mkdir -p "$cuda/apt/lists/partial" "$cuda/apt/cache/archives/partial"
cd "$cuda"

remedy="see that the instance reaches it (route, security group, DNS), or start from an image with the toolkit, such as a Deep Learning AMI"
curl -fsSL --retry 3 -o keyring.deb "$repository/cuda-keyring_1.1-1_all.deb" ||
	fail "curl cannot fetch $repository/cuda-keyring_1.1-1_all.deb" "$remedy"
echo "$sum  keyring.deb" | sha256sum -c - >/dev/null 2>&1 ||
	fail "$repository/cuda-keyring_1.1-1_all.deb has the SHA-256 $(sha256sum keyring.deb | cut -d ' ' -f 1), expected $sum" "it is not what it was when this plugin was made: use an image with the toolkit until you know why"
dpkg-deb -x keyring.deb keyring

# An apt of its own: the image's lists and sources stay as they are.
echo "deb [signed-by=$cuda/keyring/usr/share/keyrings/cuda-archive-keyring.gpg] $repository /" >apt/sources.list
toolkit_apt() {
	apt -o "Dir::Etc::sourcelist=$cuda/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o "Dir::State::lists=$cuda/apt/lists" -o "Dir::Cache=$cuda/apt/cache" -o APT::Sandbox::User=root "$@"
}
toolkit_apt update || fail "apt-get cannot read $repository" "$remedy"
mkdir -p debs
cd debs
toolkit_apt download "$@" || fail "apt-get cannot download $*" "$remedy"
for deb in *.deb; do
	dpkg-deb -x "$deb" "$cuda" || fail "dpkg-deb cannot unpack $deb"
done
cd "$cuda"
rm -rf debs apt keyring keyring.deb

for nvcc in "$cuda"/usr/local/cuda-*/bin/nvcc; do
	[ -x "$nvcc" ] || fail "the packages $* hold no nvcc"
	fact nvcc "$nvcc"
	fact cuda "$("$nvcc" --version | sed -n 's/^.*release \([0-9.]*\).*$/\1/p')"
	break
done
ok
