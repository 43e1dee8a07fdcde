# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Creates, uses and deletes a role and an instance profile with boto3."""

import json

import boto3
import botocore.exceptions
from botocore.config import Config

quick = Config(retries={"max_attempts": 1})
iam = boto3.client("iam", config=quick)
ec2 = boto3.client("ec2", region_name="eu-central-1", config=quick)
trust = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]})
both = {"RoleName": "packer-r", "InstanceProfileName": "packer-p"}
role, profile = {"RoleName": "packer-r"}, {"InstanceProfileName": "packer-p"}


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as e:
        got = e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
        assert got == (code, status), (call.__name__, got)
        return
    raise AssertionError(f"{call.__name__}: want {code}")


def launch(name):
    images = ec2.describe_images(Owners=["099720109477"], Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"]
    return ec2.run_instances(ImageId=images[0]["ImageId"], InstanceType="g4dn.xlarge", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": name})["Instances"][0]


for call, arguments in ((iam.get_role, role), (iam.get_instance_profile, profile), (iam.delete_role, role), (iam.delete_instance_profile, profile)):
    refused("NoSuchEntity", 404, call, **arguments)
refused("MalformedPolicyDocument", 400, iam.create_role, AssumeRolePolicyDocument="{", **role)
refused("ValidationError", 400, iam.create_role, AssumeRolePolicyDocument=trust, RoleName="a name")
refused("ValidationError", 400, iam.create_role, AssumeRolePolicyDocument=trust, Tags=[{"Key": "k", "Value": "<>"}], **role)

made = iam.create_role(AssumeRolePolicyDocument=trust, Tags=[{"Key": "k", "Value": "v"}], **role)["Role"]
assert made["RoleId"].startswith("AROA") and made["AssumeRolePolicyDocument"]["Statement"], made
refused("EntityAlreadyExists", 409, iam.create_role, AssumeRolePolicyDocument=trust, **role)
iam.create_instance_profile(Tags=[{"Key": "k", "Value": "v"}], **profile)
refused("EntityAlreadyExists", 409, iam.create_instance_profile, **profile)
refused("InvalidParameterValue", 400, launch, name="packer-p")  # it has no role
iam.put_role_policy(PolicyName="p", PolicyDocument=policy, **role)
refused("MalformedPolicyDocument", 400, iam.put_role_policy, PolicyName="p", PolicyDocument="no", **role)
iam.add_role_to_instance_profile(**both)
refused("LimitExceeded", 409, iam.add_role_to_instance_profile, **both)
iam.tag_role(Tags=[{"Key": "k2", "Value": "v2"}], **role)
iam.untag_role(TagKeys=["k"], **role)
assert iam.get_role(**role)["Role"]["Tags"] == [{"Key": "k2", "Value": "v2"}]
iam.tag_instance_profile(Tags=[{"Key": "k", "Value": "new"}], **profile)
assert iam.list_instance_profile_tags(**profile)["Tags"] == [{"Key": "k", "Value": "new"}]
assert iam.get_instance_profile(**profile)["InstanceProfile"]["Roles"][0]["RoleName"] == "packer-r"
assert [p["InstanceProfileName"] for p in iam.list_instance_profiles()["InstanceProfiles"]] == ["packer-p"]
assert [r["RoleName"] for r in iam.list_roles()["Roles"]] == ["packer-r"]
assert iam.list_role_policies(**role)["PolicyNames"] == ["p"]

for name in ("packer-p", "one-that-the-account-has"):
    instance = launch(name)
    assert instance["IamInstanceProfile"]["Arn"].endswith("instance-profile/" + name), instance
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
refused("InvalidParameterValue", 400, launch, name="packer-none")

refused("DeleteConflict", 409, iam.delete_instance_profile, **profile)
refused("DeleteConflict", 409, iam.delete_role, **role)
iam.remove_role_from_instance_profile(**both)
refused("NoSuchEntity", 404, iam.remove_role_from_instance_profile, **both)
refused("DeleteConflict", 409, iam.delete_role, **role)
iam.delete_role_policy(PolicyName="p", **role)
refused("NoSuchEntity", 404, iam.delete_role_policy, PolicyName="p", **role)
iam.delete_role(**role)
iam.delete_instance_profile(**profile)
refused("NoSuchEntity", 404, iam.get_instance_profile, **profile)
print("passed")
