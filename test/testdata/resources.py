# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""resources.py BUILD-ID REGION...: prints "region kind id" for everything that EC2
shows with the tag ethminer:build-id, by AWS's own client and not by the plugin's."""

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3

build, regions = sys.argv[1], sys.argv[2:]
mine = {"Filters": [{"Name": "tag:ethminer:build-id", "Values": [build]}]}
ENDED = {"terminated", "cancelled", "closed", "deregistered"}


def resources(region):
    ec2 = boto3.client("ec2", region_name=region)
    for kind, call, owner, key, name in [
        ("image", ec2.describe_images, {"Owners": ["self"]}, "Images", "ImageId"),
        ("snapshot", ec2.describe_snapshots, {"OwnerIds": ["self"]}, "Snapshots", "SnapshotId"),
        ("volume", ec2.describe_volumes, {}, "Volumes", "VolumeId"),
        ("security-group", ec2.describe_security_groups, {}, "SecurityGroups", "GroupId"),
        ("key-pair", ec2.describe_key_pairs, {}, "KeyPairs", "KeyPairId"),
        ("spot-request", ec2.describe_spot_instance_requests, {}, "SpotInstanceRequests", "SpotInstanceRequestId"),
    ]:
        for found in call(**mine, **owner)[key]:
            if found.get("State") not in ENDED:
                yield f"{region} {kind} {found[name]}"
    for reservation in ec2.describe_instances(**mine)["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] not in ENDED:
                yield f"{region} instance {instance['InstanceId']}"


with ThreadPoolExecutor(len(regions)) as pool:
    for lines in pool.map(lambda region: list(resources(region)), regions):
        for line in lines:
            print(line)
