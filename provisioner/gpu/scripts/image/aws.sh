#!/bin/sh
# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
#
# Functions that the helpers on an instance share: metadata (IMDSv2), and requests
# to AWS that are signed with the role's credentials (Signature Version 4). Requires
# curl 7.76 or newer and coreutils; no Python, no AWS CLI. curl's own --aws-sigv4 leaves the
# session token unsigned in older versions such as Ubuntu 22.04's, and AWS rejects
# such requests.

set -eu

imds=${IMDS:-http://169.254.169.254}

# on_ec2: succeeds on EC2; elsewhere the metadata address may be another host.
on_ec2() {
	case "$(cat "${SYSFS:-/sys}/class/dmi/id/sys_vendor" 2>/dev/null || true)" in
	"Amazon EC2"*) ;;
	*) return 1 ;;
	esac
}

# session: requests a token for metadata.
session() {
	imds_token=$(curl -fsS -m 5 --retry 3 --noproxy '*' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$imds/latest/api/token")
}

# metadata PATH
metadata() {
	[ -n "${imds_token:-}" ] || session
	curl -fsS -m 5 --retry 3 --noproxy '*' -H "X-aws-ec2-metadata-token: $imds_token" "$imds/latest/$1"
}

# json KEY: prints the string value of KEY in a JSON object with a member a line.
json() { sed -n 's/^.*"'"$1"'" *: *"\([^"]*\)".*$/\1/p'; }

# hex: prints the bytes of the input in hexadecimal.
hex() { od -An -v -tx1 | tr -d ' \n'; }

# bytes HEX [MASK]: prints the bytes of HEX, each XOR MASK.
bytes() {
	digits=$1 octal=
	while [ -n "$digits" ]; do
		rest=${digits#??}
		byte=$((0x${digits%"$rest"} ^ ${2:-0}))
		octal="$octal\\0$((byte >> 6))$((byte >> 3 & 7))$((byte & 7))"
		digits=$rest
	done
	printf %b "$octal"
}

sha256() { sha256sum | cut -d ' ' -f 1; }

# hmac HEXKEY: prints the HMAC-SHA256 of the input (RFC 2104). The key has at most 64
# bytes. It is never on the command line of a program, which any user can read.
hmac() {
	key=$1
	while [ "${#key}" -lt 128 ]; do key=${key}00; done
	inner=$({ bytes "$key" 0x36 && cat; } | sha256)
	{ bytes "$key" 0x5c && bytes "$inner"; } | sha256
}

# aws_request SERVICE HOST SETTING TYPE BODY [TARGET]: sends BODY, of the content type
# TYPE, to HOST of the instance's region, or to $AWS_ENDPOINT_URL_SETTING or
# $AWS_ENDPOINT_URL, which have no path. Prints the response, and fails unless AWS
# accepts the request.
aws_request() {
	session
	region=$(metadata meta-data/placement/region)
	eval "url=\${AWS_ENDPOINT_URL_$3:-\${AWS_ENDPOINT_URL:-}}"
	[ -n "$url" ] || url=https://$2.$region.$(metadata meta-data/services/domain)
	url=${url%/}
	role=$(metadata meta-data/iam/security-credentials/)
	credentials=$(metadata "meta-data/iam/security-credentials/$role")
	token=$(echo "$credentials" | json Token)
	now=$(date -u +%Y%m%dT%H%M%SZ)
	scope=${now%T*}/$region/$1/aws4_request

	# Headers of the request in the order in which they are signed.
	headers="content-type:$4
host:${url#*://}
x-amz-date:$now
x-amz-security-token:$token${6:+
x-amz-target:$6}"
	names=$(echo "$headers" | cut -d : -f 1 | paste -s -d ';' -)
	request=$(printf 'POST\n/\n\n%s\n\n%s\n%s' "$headers" "$names" "$(printf %s "$5" | sha256)" | sha256)
	key=$(printf 'AWS4%s' "$(echo "$credentials" | json SecretAccessKey)" | hex)
	for part in "${now%T*}" "$region" "$1" aws4_request; do
		key=$(printf %s "$part" | hmac "$key")
	done
	signature=$(printf 'AWS4-HMAC-SHA256\n%s\n%s\n%s' "$now" "$scope" "$request" | hmac "$key")
	{
		echo "$headers" | sed 's/\([^:]*\):\(.*\)/header = "\1: \2"/'
		printf 'header = "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s"\n' \
			"$(echo "$credentials" | json AccessKeyId)" "$scope" "$names" "$signature"
	} | curl -sS -m 10 --retry 2 --fail-with-body -K - --data-binary "$5" "$url/"
}

# aws_query SERVICE HOST SETTING NAME=VALUE...: calls an action of a query API.
aws_query() {
	target="$1 $2 $3"
	shift 3
	body=
	for pair; do
		# Each byte is escaped: AWS accepts that, and it is the shortest to write.
		body="$body${body:+&}${pair%%=*}=$(printf %s "${pair#*=}" | od -An -v -tx1 | tr -d '\n' | tr ' ' %)"
	done
	# shellcheck disable=SC2086 # three words
	aws_request $target application/x-www-form-urlencoded "$body"
}

# put_metrics NAME VALUE UNIT...: sends metrics to CloudWatch. Their only dimension is
# the fleet: the number of metrics, for which AWS charges, does not grow with the number
# of instances.
put_metrics() {
	n=0
	for field; do
		member=MetricData.member.$((n / 3 + 1))
		case $((n % 3)) in
		0) set -- "$@" "$member.MetricName=$field" "$member.Dimensions.member.1.Name=Fleet" "$member.Dimensions.member.1.Value=${ETHMINER_FLEET:-ethminer}" ;;
		1) set -- "$@" "$member.Value=$field" ;;
		2) set -- "$@" "$member.Unit=$field" ;;
		esac
		shift
		n=$((n + 1))
	done
	aws_query monitoring monitoring CLOUDWATCH Action=PutMetricData Version=2010-08-01 "Namespace=$ETHMINER_METRICS" "$@"
}
