# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Drives the rehearsal's Parameter Store with boto3."""
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

quick = Config(retries={"max_attempts": 1})
ssm = boto3.client("ssm", region_name="eu-central-1", config=quick)
images = boto3.client("ec2", region_name="eu-central-1", config=quick).describe_images(Owners=["136693071363"])["Images"]


def fails(code, call, **args):
    try:
        call(**args)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, (code, e.response)
        return
    raise AssertionError(f"expected {code}")


fails("ParameterNotFound", ssm.get_parameter, Name="/judge/a")
fails("ValidationException", ssm.put_parameter, Name="/judge/a", Value="x")
fails("ValidationException", ssm.put_parameter, Name="/aws/a", Value="x", Type="String")
fails("UnrecognizedClientException", boto3.client("ssm", region_name="ap-east-1", config=quick).get_parameter, Name="/judge/a")
made = ssm.put_parameter(Name="/judge/a", Value="x", Type="String", Tags=[{"Key": "k", "Value": "v"}])
assert made["Version"] == 1 and made["Tier"] == "Standard", made
fails("ParameterAlreadyExists", ssm.put_parameter, Name="/judge/a", Value="y", Type="String")
assert ssm.put_parameter(Name="/judge/a", Value="y", Overwrite=True)["Version"] == 2
now = ssm.get_parameter(Name="/judge/a")["Parameter"]
assert (now["Value"], now["Version"], now["Type"], now["DataType"]) == ("y", 2, "String", "text"), now
assert now["ARN"] == "arn:aws:ssm:eu-central-1:111122223333:parameter/judge/a" and now["LastModifiedDate"].year >= 2025, now
assert ssm.get_parameter(Name=now["ARN"])["Parameter"]["Value"] == "y"
assert ssm.get_parameter(Name="/judge/a:1")["Parameter"]["Value"] == "x"
fails("ParameterVersionNotFound", ssm.get_parameter, Name="/judge/a:3")
assert ssm.label_parameter_version(Name="/judge/a", ParameterVersion=1, Labels=["stable", "1bad"])["InvalidLabels"] == ["1bad"]
assert ssm.get_parameter(Name="/judge/a:stable")["Parameter"]["Version"] == 1
assert ssm.label_parameter_version(Name="/judge/a", Labels=["stable"])["ParameterVersion"] == 2
history = ssm.get_parameter_history(Name="/judge/a")["Parameters"]
assert [(h["Value"], h.get("Labels")) for h in history] == [("x", None), ("y", ["stable"])], history
fails("ParameterVersionNotFound", ssm.label_parameter_version, Name="/judge/a", ParameterVersion=9, Labels=["x"])

# Images
fails("ValidationException", ssm.put_parameter, Name="/judge/ami", Value="debian", Type="String", DataType="aws:ec2:image")
assert ssm.put_parameter(Name="/judge/ami", Value="ami-0123456789abcdef0", Type="String", DataType="aws:ec2:image")["Version"] == 1
fails("ParameterNotFound", ssm.get_parameter, Name="/judge/ami")  # SSM sees no such image
ssm.put_parameter(Name="/judge/ami", Value=images[0]["ImageId"], Type="String", DataType="aws:ec2:image")
assert ssm.get_parameter(Name="/judge/ami")["Parameter"]["Value"] == images[0]["ImageId"]
ssm.put_parameter(Name="/judge/ami", Value="ami-0123456789abcdef0", Type="String", DataType="aws:ec2:image", Overwrite=True)
assert ssm.get_parameter(Name="/judge/ami")["Parameter"]["Value"] == images[0]["ImageId"]
fails("ValidationException", ssm.put_parameter, Name="/judge/ami", Value="x", Type="String", DataType="text", Overwrite=True)

ssm.put_parameter(Name="/judge/deep/b", Value="1,2", Type="StringList")
ssm.put_parameter(Name="/judge/deep/secret", Value="s", Type="SecureString")
assert ssm.get_parameter(Name="/judge/deep/secret")["Parameter"]["Value"] != "s"
assert ssm.get_parameter(Name="/judge/deep/secret", WithDecryption=True)["Parameter"]["Value"] == "s"
some = ssm.get_parameters(Names=["/judge/a", "/judge/none", "/judge/a:9"])
assert len(some["Parameters"]) == 1 and some["InvalidParameters"] == ["/judge/none", "/judge/a:9"], some
assert [p["Name"] for p in ssm.get_parameters_by_path(Path="/judge")["Parameters"]] == ["/judge/a", "/judge/ami"]
pages = list(ssm.get_paginator("get_parameters_by_path").paginate(Path="/judge/", Recursive=True, PaginationConfig={"PageSize": 3}))
assert [len(p["Parameters"]) for p in pages] == [3, 1]

of = {"ResourceType": "Parameter", "ResourceId": "/judge/a"}
ssm.add_tags_to_resource(Tags=[{"Key": "l", "Value": "w"}], **of)
ssm.remove_tags_from_resource(TagKeys=["k"], **of)
assert ssm.list_tags_for_resource(**of)["TagList"] == [{"Key": "l", "Value": "w"}]
fails("InvalidResourceId", ssm.list_tags_for_resource, ResourceType="Parameter", ResourceId="/judge/none")
ssm.delete_parameter(Name="/judge/a")
fails("ParameterNotFound", ssm.delete_parameter, Name="/judge/a")
gone = ssm.delete_parameters(Names=["/judge/ami", "/judge/deep/b", "/judge/deep/secret", "/judge/a"])
assert len(gone["DeletedParameters"]) == 3 and gone["InvalidParameters"] == ["/judge/a"], gone
print("judged")
