# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Calls the actions that building an image uses, with boto3."""
import base64
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

quick = Config(retries={"max_attempts": 1})


def client(region, service="ec2"):
    return boto3.client(service, region_name=region, config=quick)


def wait(ec2, name, **ids):
    ec2.get_waiter(name).wait(WaiterConfig={"Delay": 1, "MaxAttempts": 20}, **ids)


def fails(code, call, **args):
    try:
        call(**args)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, (code, e.response)
        assert e.response["ResponseMetadata"]["RequestId"]
        return e.response
    raise AssertionError(f"expected {code}")


home, away = client("eu-central-1"), client("us-east-1")
who = client("eu-central-1", "sts").get_caller_identity()
assert who["Account"] == "111122223333", who
client("eu-central-1", "sts").assume_role(RoleArn="arn:aws:iam::111122223333:role/r", RoleSessionName="client")

regions = home.describe_regions()["Regions"]
assert len(regions) == 17, len(regions)
assert len(home.describe_regions(AllRegions=True)["Regions"]) == 34
fails("AuthFailure", client("ap-east-1").describe_images)
zones = [z["ZoneName"] for z in home.describe_availability_zones()["AvailabilityZones"]]
assert zones == ["eu-central-1a", "eu-central-1b", "eu-central-1c"], zones
vpc = home.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
home.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute="enableDnsSupport")
subnets = home.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
assert len(subnets) == 3
home.describe_account_attributes()
tables = home.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["RouteTables"]
assert [t["Associations"][0]["Main"] for t in tables] == [True] and tables[0]["Routes"][1]["GatewayId"].startswith("igw-"), tables

assert home.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == "unblocked"
home.enable_image_block_public_access(ImageBlockPublicAccessState="block-new-sharing")
assert home.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == "block-new-sharing"
assert away.get_image_block_public_access_state()["ImageBlockPublicAccessState"] == "unblocked"
home.disable_image_block_public_access()
home.enable_snapshot_block_public_access(State="block-all-sharing")
assert home.get_snapshot_block_public_access_state()["State"] == "block-all-sharing"
home.disable_snapshot_block_public_access()
assert not home.get_ebs_encryption_by_default()["EbsEncryptionByDefault"]
assert home.enable_ebs_encryption_by_default()["EbsEncryptionByDefault"]
assert home.get_ebs_default_kms_key_id()["KmsKeyId"] == "alias/aws/ebs"
home.modify_ebs_default_kms_key_id(KmsKeyId="alias/client")
assert home.get_ebs_default_kms_key_id()["KmsKeyId"].endswith(":alias/client")
home.reset_ebs_default_kms_key_id()
home.disable_ebs_encryption_by_default()

keys, quotas = client("eu-central-1", "kms"), client("eu-central-1", "service-quotas")
assert keys.describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]["KeyManager"] == "AWS"
made = keys.create_key(Description="client")["KeyMetadata"]
keys.create_alias(AliasName="alias/client", TargetKeyId=made["KeyId"])
keys.disable_key(KeyId="alias/client")
assert keys.describe_key(KeyId=made["Arn"])["KeyMetadata"]["KeyState"] == "Disabled"
keys.enable_key(KeyId=made["KeyId"])
keys.put_key_policy(KeyId=made["KeyId"], PolicyName="default", Policy="{}")
assert keys.get_key_policy(KeyId="alias/client", PolicyName="default")["Policy"] == "{}"
fails("NotFoundException", client("us-east-1", "kms").describe_key, KeyId=made["Arn"])
assert quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-DB2E81BA")["Quota"]["Value"] > 0
assert len(quotas.list_service_quotas(ServiceCode="ec2")["Quotas"]) == 7
fails("NoSuchResourceException", quotas.get_service_quota, ServiceCode="ec2", QuotaCode="L-00000000")

found = home.describe_images(Owners=["099720109477"], Filters=[
    {"Name": "name", "Values": ["ubuntu/images/*ubuntu-noble-24.04-amd64-server-*"]}, {"Name": "architecture", "Values": ["x86_64"]}])["Images"]
assert len(found) == 2, found
source = max(found, key=lambda i: i["CreationDate"])
types = [t for p in home.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 10}) for t in p["InstanceTypes"]]
assert len(types) > 40
gpu = next(t for t in types if t["InstanceType"] == "g4dn.xlarge")
assert gpu["GpuInfo"]["Gpus"][0]["Name"] == "T4" and gpu["GpuInfo"]["TotalGpuMemoryInMiB"] == 15360
offered = home.describe_instance_type_offerings(LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["g4dn.xlarge"]}])
assert 0 < len(offered["InstanceTypeOfferings"]) < 3
home.describe_spot_price_history(InstanceTypes=["g4dn.xlarge"], ProductDescriptions=["Linux/UNIX"])

key = home.create_key_pair(KeyName="client", KeyType="ed25519", TagSpecifications=[{"ResourceType": "key-pair", "Tags": [{"Key": "a", "Value": "b"}]}])
assert key["KeyMaterial"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
fails("InvalidKeyPair.Duplicate", home.create_key_pair, KeyName="client")
rsa = home.create_key_pair(KeyName="client-rsa")
assert rsa["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----")
public = home.describe_key_pairs(KeyNames=["client"], IncludePublicKey=True)["KeyPairs"][0]["PublicKey"]
home.import_key_pair(KeyName="imported", PublicKeyMaterial=public.encode())
group = home.create_security_group(GroupName="client", Description="for the client", VpcId=vpc["VpcId"])["GroupId"]
rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "127.0.0.1/32"}]}
home.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
fails("InvalidPermission.Duplicate", home.authorize_security_group_ingress, GroupId=group, IpPermissions=[rule])
wait(home, "security_group_exists", GroupIds=[group])
assert len(home.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]) == 2

launch = dict(ImageId=source["ImageId"], InstanceType="g4dn.xlarge", MinCount=1, MaxCount=1, KeyName="client", SecurityGroupIds=[group],
              UserData="#!/bin/sh\n", ClientToken="once", MetadataOptions={"HttpTokens": "required"},
              BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": True}},
                                   {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 5, "VolumeType": "gp3", "DeleteOnTermination": False}}],
              TagSpecifications=[{"ResourceType": k, "Tags": [{"Key": "build", "Value": "1"}]} for k in ("instance", "volume")])
assert fails("DryRunOperation", home.run_instances, DryRun=True, **launch)["ResponseMetadata"]["HTTPStatusCode"] == 412
run = home.run_instances(**launch)["Instances"][0]
assert run["State"]["Name"] == "pending"
assert home.run_instances(**launch)["Instances"][0]["InstanceId"] == run["InstanceId"]
fails("IdempotentParameterMismatch", home.run_instances, **{**launch, "InstanceType": "g5.xlarge"})
i = run["InstanceId"]
wait(home, "instance_exists", InstanceIds=[i])
wait(home, "instance_running", InstanceIds=[i])
wait(home, "instance_status_ok", InstanceIds=[i])
now = home.describe_instances(InstanceIds=[i])["Reservations"][0]["Instances"][0]
assert now["PublicIpAddress"].startswith("127.77."), now
assert now["MetadataOptions"]["HttpTokens"] == "required"
assert len(now["BlockDeviceMappings"]) == 2
home.describe_instance_attribute(InstanceId=i, Attribute="disableApiTermination")
home.get_console_output(InstanceId=i)
home.reboot_instances(InstanceIds=[i])
fails("DependencyViolation", home.delete_security_group, GroupId=group)
home.stop_instances(InstanceIds=[i])
wait(home, "instance_stopped", InstanceIds=[i])
home.modify_instance_attribute(InstanceId=i, EnaSupport={"Value": True})
home.start_instances(InstanceIds=[i])
wait(home, "instance_running", InstanceIds=[i])
home.stop_instances(InstanceIds=[i])
wait(home, "instance_stopped", InstanceIds=[i])

image = home.create_image(InstanceId=i, Name="client-image", Description="d", TagSpecifications=[
    {"ResourceType": "image", "Tags": [{"Key": "build", "Value": "1"}]}])["ImageId"]
wait(home, "image_exists", ImageIds=[image])
wait(home, "image_available", ImageIds=[image])
twice = fails("InvalidAMIName.Duplicate", home.create_image, InstanceId=i, Name="client-image")
assert twice["Error"]["Message"] == f"AMI name client-image is already in use by AMI {image}", twice
snaps = [m["Ebs"]["SnapshotId"] for m in home.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]]
wait(home, "snapshot_completed", SnapshotIds=snaps)
fails("InvalidSnapshot.InUse", home.delete_snapshot, SnapshotId=snaps[0])
home.create_tags(Resources=[image, *snaps], Tags=[{"Key": "more", "Value": ""}])
home.delete_tags(Resources=snaps, Tags=[{"Key": "more"}])
assert {"more", "build"} == {t["Key"] for t in home.describe_tags(Filters=[{"Name": "resource-id", "Values": [image]}])["Tags"]}

copy = away.copy_image(SourceRegion="eu-central-1", SourceImageId=image, Name="client-image", CopyImageTags=True, Encrypted=True, ClientToken="c")["ImageId"]
assert away.copy_image(SourceRegion="eu-central-1", SourceImageId=image, Name="client-image", CopyImageTags=True, Encrypted=True, ClientToken="c")["ImageId"] == copy
wait(away, "image_available", ImageIds=[copy])
there = away.describe_images(ImageIds=[copy])["Images"][0]
assert {t["Key"] for t in there["Tags"]} == {"more", "build"} and there["SourceImageId"] == image, there
assert all(m["Ebs"]["Encrypted"] for m in there["BlockDeviceMappings"])
fails("InvalidParameter", away.modify_image_attribute, ImageId=copy, LaunchPermission={"Add": [{"UserId": "999988887777"}]})
home.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"UserId": "999988887777"}, {"Group": "all"}]})
home.modify_image_attribute(ImageId=image, Description={"Value": "new"})
home.modify_snapshot_attribute(SnapshotId=snaps[0], Attribute="createVolumePermission", OperationType="add", UserIds=["999988887777"])
assert len(home.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]) == 2
home.describe_snapshot_attribute(SnapshotId=snaps[0], Attribute="createVolumePermission")
home.enable_image_deprecation(ImageId=image, DeprecateAt="2031-01-01T00:00:00Z")
home.disable_image_deprecation(ImageId=image)
home.enable_image_deregistration_protection(ImageId=image)
fails("OperationNotPermitted", home.deregister_image, ImageId=image)
home.disable_image_deregistration_protection(ImageId=image)
home.disable_image(ImageId=image)
assert home.describe_images(Owners=["self"])["Images"] == []
home.enable_image(ImageId=image)

own = home.copy_snapshot(SourceRegion="eu-central-1", SourceSnapshotId=snaps[0])["SnapshotId"]
registered = home.register_image(Name="registered", Architecture="x86_64", RootDeviceName="/dev/sda1", VirtualizationType="hvm",
                                 BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": own}}])["ImageId"]
volume = home.create_volume(AvailabilityZone=now["Placement"]["AvailabilityZone"], SnapshotId=own, VolumeType="gp3")["VolumeId"]
wait(home, "volume_available", VolumeIds=[volume])
home.attach_volume(VolumeId=volume, InstanceId=i, Device="/dev/sdg")
wait(home, "volume_in_use", VolumeIds=[volume])
home.detach_volume(VolumeId=volume)
extra = home.create_snapshot(VolumeId=volume, Description="x")["SnapshotId"]
home.delete_volume(VolumeId=volume)
wait(home, "volume_deleted", VolumeIds=[volume])

template = home.create_launch_template(LaunchTemplateName="client", LaunchTemplateData={
    "ImageId": image, "KeyName": "client", "InstanceMarketOptions": {"MarketType": "spot"},
    "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [group], "AssociatePublicIpAddress": True}]})["LaunchTemplate"]["LaunchTemplateId"]
home.describe_launch_templates()
fleet = home.create_fleet(Type="instant", LaunchTemplateConfigs=[{
    "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "1"},
    "Overrides": [{"InstanceType": "g5g.xlarge"}, {"InstanceType": "g5.xlarge"}]}],
    TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"})
assert len(fleet["Errors"]) == 1 and fleet["Errors"][0]["ErrorCode"] == "InvalidParameterValue", fleet
spot = fleet["Instances"][0]["InstanceIds"][0]
wait(home, "instance_running", InstanceIds=[spot])
assert home.describe_spot_instance_requests(Filters=[{"Name": "instance-id", "Values": [spot]}])["SpotInstanceRequests"][0]["State"] == "active"
fails("UnsupportedOperation", home.stop_instances, InstanceIds=[spot])
home.modify_instance_metadata_options(InstanceId=spot, HttpTokens="required")
home.delete_launch_template(LaunchTemplateId=template)

for n in range(6):
    home.create_snapshot(VolumeId=now["BlockDeviceMappings"][0]["Ebs"]["VolumeId"], Description=f"page {n}")
pages = list(home.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], PaginationConfig={"PageSize": 5}))
assert len(pages) == 2 and sum(len(p["Snapshots"]) for p in pages) == 10, [len(p["Snapshots"]) for p in pages]
assert len(list(home.get_paginator("describe_images").paginate(Owners=["self"], PaginationConfig={"PageSize": 1}))) == 2
list(home.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))

fails("InvalidAMIID.Malformed", home.describe_images, ImageIds=["nonsense"])
fails("InvalidAMIID.NotFound", home.describe_images, ImageIds=["ami-0123456789abcdef0"])
fails("InvalidInstanceID.NotFound", home.stop_instances, InstanceIds=["i-0123456789abcdef0"])
fails("InvalidParameterValue", home.describe_images, Filters=[{"Name": "nonsense", "Values": ["1"]}])
fails("InvalidAction", home.describe_client_vpn_endpoints)
stranger = boto3.client("ec2", region_name="eu-central-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="x", config=quick)
fails("AuthFailure", stranger.describe_images)

home.terminate_instances(InstanceIds=[i, spot])
wait(home, "instance_terminated", InstanceIds=[i, spot])
fails("IncorrectInstanceState", home.start_instances, InstanceIds=[i])
left = home.describe_volumes()["Volumes"]
assert [v["Size"] for v in left] == [5, 5], left  # each instance had one volume without DeleteOnTermination
for v in left:
    home.delete_volume(VolumeId=v["VolumeId"])
home.delete_security_group(GroupId=group)
for name in ("client", "client-rsa", "imported", "missing"):
    home.delete_key_pair(KeyName=name)
home.deregister_image(ImageId=registered)
assert len(home.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)["DeleteSnapshotResults"]) == 2
fails("InvalidAMIID.Unavailable", home.deregister_image, ImageId=image)
for s in home.describe_snapshots(OwnerIds=["self"])["Snapshots"]:
    home.delete_snapshot(SnapshotId=s["SnapshotId"])
away.deregister_image(ImageId=copy, DeleteAssociatedSnapshots=True)
print("passed")
