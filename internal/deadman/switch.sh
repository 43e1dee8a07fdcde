#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Shuts this build machine down @SECONDS@ s after its first boot, even if Packer is
# gone (packer-plugin-ethminer, max_build_time). cloud-init runs this at every boot
# of this instance only; the switch is in memory.
limit=@SECONDS@
id=${INSTANCE_ID:-unknown}

# cloud-init may be configured to trust an image's cache (manual_cache_clean), so
# compare the instance id with the machine's own.
here=$(cat /sys/class/dmi/id/board_asset_tag 2>/dev/null)
case $here in
i-*) ;;
*)
	if grep -q ^ec2 /sys/hypervisor/uuid 2>/dev/null; then # Xen has the id only in IMDS
		md=http://169.254.169.254/latest
		token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $md/api/token)
		here=$(curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" $md/meta-data/instance-id)
	fi
	;;
esac
case $here in
"$id") ;;
i-*)
	echo "ethminer: armed for $id, but this is $here: nothing to do"
	exit 0
	;;
esac

# The deadline survives a reboot in cloud-init's directory of this instance id.
dir=/var/lib/cloud/instances/$id
now=$(date +%s)
deadline=$(cat "$dir/ethminer-deadline" 2>/dev/null)
case $deadline in
'' | *[!0-9]*)
	deadline=$((now + limit))
	mkdir -p "$dir" && echo "$deadline" >"$dir/ethminer-deadline"
	;;
esac
left=$((deadline - now))
if [ "$left" -lt 1 ]; then left=1; fi
if [ "$left" -gt "$limit" ]; then left=$limit; fi # the clock was set back

echo "ethminer: this instance shuts itself down in $left s (max_build_time)"
if [ -d /run/systemd/system ]; then
	cat >/run/systemd/system/ethminer-deadman.service <<END
[Unit]
Description=Shuts this build instance down at max_build_time
DefaultDependencies=no
IgnoreOnIsolate=yes
[Service]
ExecStart=/bin/sh -c 'sleep $left; systemctl -i poweroff; sleep 300; systemctl -ff poweroff'
OOMScoreAdjust=-1000
END
	systemctl start --no-block ethminer-deadman.service
else
	setsid sh -c "sleep $left; poweroff || poweroff -f" </dev/null >/dev/null 2>&1 &
fi
