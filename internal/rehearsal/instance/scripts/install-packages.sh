#!/bin/sh
# install-packages PACKAGE...: installs packages, and enables the services of a machine.
set -eu
export DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
missing=
for package in "$@"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ -n "$missing" ]; then
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  # shellcheck disable=SC2086 # a list
  apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install $missing ||
    { apt-get -qq update; apt-get -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends install $missing; }
  rm /usr/sbin/policy-rc.d
  rm -rf /var/cache/apt/archives/*.deb /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log
fi
rm -f /etc/ssh/ssh_host_*
mkdir -p /etc/systemd/system
for service in ssh cloud-init-local cloud-init cloud-init-main cloud-init-network cloud-config cloud-final; do
  [ ! -e "/usr/lib/systemd/system/$service.service" ] || systemctl --root=/ -q enable "$service.service" 2>&1
done
