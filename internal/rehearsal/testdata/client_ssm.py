# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Calls Parameter Store with boto3."""
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


fails("ParameterNotFound", ssm.get_parameter, Name="/client/a")
fails("ValidationException", ssm.put_parameter, Name="/client/a", Value="x")
fails("ValidationException", ssm.put_parameter, Name="/aws/a", Value="x", Type="String")
fails("UnrecognizedClientException", boto3.client("ssm", region_name="ap-east-1", config=quick).get_parameter, Name="/client/a")
made = ssm.put_parameter(Name="/client/a", Value="x", Type="String", Tags=[{"Key": "k", "Value": "v"}])
assert made["Version"] == 1 and made["Tier"] == "Standard", made
fails("ParameterAlreadyExists", ssm.put_parameter, Name="/client/a", Value="y", Type="String")
assert ssm.put_parameter(Name="/client/a", Value="y", Overwrite=True)["Version"] == 2
now = ssm.get_parameter(Name="/client/a")["Parameter"]
assert (now["Value"], now["Version"], now["Type"], now["DataType"]) == ("y", 2, "String", "text"), now
assert now["ARN"] == "arn:aws:ssm:eu-central-1:111122223333:parameter/client/a" and now["LastModifiedDate"].year >= 2025, now
assert ssm.get_parameter(Name=now["ARN"])["Parameter"]["Value"] == "y"
assert ssm.get_parameter(Name="/client/a:1")["Parameter"]["Value"] == "x"
fails("ParameterVersionNotFound", ssm.get_parameter, Name="/client/a:3")
assert ssm.label_parameter_version(Name="/client/a", ParameterVersion=1, Labels=["stable", "1bad"])["InvalidLabels"] == ["1bad"]
assert ssm.get_parameter(Name="/client/a:stable")["Parameter"]["Version"] == 1
assert ssm.label_parameter_version(Name="/client/a", Labels=["stable"])["ParameterVersion"] == 2
history = ssm.get_parameter_history(Name="/client/a")["Parameters"]
assert [(h["Value"], h.get("Labels")) for h in history] == [("x", None), ("y", ["stable"])], history
fails("ParameterVersionNotFound", ssm.label_parameter_version, Name="/client/a", ParameterVersion=9, Labels=["x"])

# Images
fails("ValidationException", ssm.put_parameter, Name="/client/ami", Value="debian", Type="String", DataType="aws:ec2:image")
assert ssm.put_parameter(Name="/client/ami", Value="ami-0123456789abcdef0", Type="String", DataType="aws:ec2:image")["Version"] == 1
fails("ParameterNotFound", ssm.get_parameter, Name="/client/ami")  # the image does not exist
ssm.put_parameter(Name="/client/ami", Value=images[0]["ImageId"], Type="String", DataType="aws:ec2:image")
assert ssm.get_parameter(Name="/client/ami")["Parameter"]["Value"] == images[0]["ImageId"]
ssm.put_parameter(Name="/client/ami", Value="ami-0123456789abcdef0", Type="String", DataType="aws:ec2:image", Overwrite=True)
assert ssm.get_parameter(Name="/client/ami")["Parameter"]["Value"] == images[0]["ImageId"]
fails("ValidationException", ssm.put_parameter, Name="/client/ami", Value="x", Type="String", DataType="text", Overwrite=True)

ssm.put_parameter(Name="/client/deep/b", Value="1,2", Type="StringList")
ssm.put_parameter(Name="/client/deep/secret", Value="s", Type="SecureString")
assert ssm.get_parameter(Name="/client/deep/secret")["Parameter"]["Value"] != "s"
assert ssm.get_parameter(Name="/client/deep/secret", WithDecryption=True)["Parameter"]["Value"] == "s"
some = ssm.get_parameters(Names=["/client/a", "/client/none", "/client/a:9"])
assert len(some["Parameters"]) == 1 and some["InvalidParameters"] == ["/client/none", "/client/a:9"], some
assert [p["Name"] for p in ssm.get_parameters_by_path(Path="/client")["Parameters"]] == ["/client/a", "/client/ami"]
pages = list(ssm.get_paginator("get_parameters_by_path").paginate(Path="/client/", Recursive=True, PaginationConfig={"PageSize": 3}))
assert [len(p["Parameters"]) for p in pages] == [3, 1]

of = {"ResourceType": "Parameter", "ResourceId": "/client/a"}
ssm.add_tags_to_resource(Tags=[{"Key": "l", "Value": "w"}], **of)
ssm.remove_tags_from_resource(TagKeys=["k"], **of)
assert ssm.list_tags_for_resource(**of)["TagList"] == [{"Key": "l", "Value": "w"}]
fails("InvalidResourceId", ssm.list_tags_for_resource, ResourceType="Parameter", ResourceId="/client/none")
ssm.delete_parameter(Name="/client/a")
fails("ParameterNotFound", ssm.delete_parameter, Name="/client/a")
gone = ssm.delete_parameters(Names=["/client/ami", "/client/deep/b", "/client/deep/secret", "/client/a"])
assert len(gone["DeletedParameters"]) == 3 and gone["InvalidParameters"] == ["/client/a"], gone
print("passed")
