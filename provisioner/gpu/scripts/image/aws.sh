#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Functions that the helpers on an instance share: metadata (IMDSv2), and signed
# calls of AWS query APIs with the role's credentials. Requires curl 7.75 or newer,
# which signs requests; no Python, no AWS CLI.

set -eu

imds=${IMDS:-http://169.254.169.254}

# on_ec2: succeeds on EC2; elsewhere the metadata address may be another host.
on_ec2() {
	case "$(cat "${SYSFS:-/sys}/class/dmi/id/sys_vendor" 2>/dev/null || true)" in
	"Amazon EC2"*) ;;
	*) return 1 ;;
	esac
}

# metadata PATH
metadata() {
	[ -n "${imds_token:-}" ] ||
		imds_token=$(curl -fsS -m 5 --retry 3 --noproxy '*' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$imds/latest/api/token")
	curl -fsS -m 5 --retry 3 --noproxy '*' -H "X-aws-ec2-metadata-token: $imds_token" "$imds/latest/$1"
}

# json KEY: prints the string value of KEY in a flat JSON object.
json() { sed -n 's/^.*"'"$1"'" *: *"\([^"]*\)".*$/\1/p'; }

# aws_query SERVICE ENDPOINT_NAME NAME=VALUE...: calls a query API. Secrets go
# through a pipe, since any user can read a command line.
aws_query() {
	service=$1 endpoint=$2
	shift 2
	region=$(metadata meta-data/placement/region)
	role=$(metadata meta-data/iam/security-credentials/)
	credentials=$(metadata "meta-data/iam/security-credentials/$role")
	url=${AWS_ENDPOINT_URL:-https://$endpoint.$region.$(metadata meta-data/services/domain)}
	for pair in "$@"; do
		set -- "$@" --data-urlencode "$pair"
		shift
	done
	{
		printf 'user = "%s:%s"\n' "$(echo "$credentials" | json AccessKeyId)" "$(echo "$credentials" | json SecretAccessKey)"
		printf 'header = "x-amz-security-token: %s"\n' "$(echo "$credentials" | json Token)"
	} | curl -fsS -m 10 --retry 2 -K - --aws-sigv4 "aws:amz:$region:$service" "$@" "$url/"
}
