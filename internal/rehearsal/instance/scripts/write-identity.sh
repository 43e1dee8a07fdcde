#!/bin/sh
# Gives the machine a /sys with the UUID of an EC2 instance.
set -eu
mkdir /run/sys
mount -t tmpfs -o mode=755,size=64k,nosuid,nodev,noexec rehearsal /run/sys
for dir in /sys/*; do
  mkdir "/run/sys/${dir##*/}"
  mount --rbind "$dir" "/run/sys/${dir##*/}"
done
mkdir /run/sys/hypervisor
echo "$UUID" >/run/sys/hypervisor/uuid
mount -o remount,ro /run/sys
mount --rbind /run/sys /sys
