# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Calls CloudFormation and CloudWatch with boto3. The test injects failures of the
stacks in account 333333333333, which is not enabled for stack sets."""
import datetime
import json
import time
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

quick = Config(retries={"max_attempts": 1})
cfn = boto3.client("cloudformation", region_name="us-east-1", config=quick)


def fails(code, call, **args):
    try:
        call(**args)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, (code, e.response)
        return e.response["Error"]["Message"]
    raise AssertionError(f"expected {code}")


def done(name, operation, status="SUCCEEDED"):
    for _ in range(200):
        o = cfn.describe_stack_set_operation(StackSetName=name, OperationId=operation)["StackSetOperation"]
        if o["Status"] not in ("QUEUED", "RUNNING", "STOPPING"):
            assert o["Status"] == status and o["EndTimestamp"] >= o["CreationTimestamp"], o
            pages = cfn.get_paginator("list_stack_set_operation_results").paginate(
                StackSetName=name, OperationId=operation, PaginationConfig={"PageSize": 2})
            return [(r["Region"], r["Account"], r["Status"]) for p in pages for r in p["Summaries"]]
        time.sleep(0.02)
    raise AssertionError(o)


def instances(name, **more):
    pages = cfn.get_paginator("list_stack_instances").paginate(StackSetName=name, PaginationConfig={"PageSize": 3}, **more)
    return {(i["Region"], i["Account"]): i["Status"] for p in pages for i in p["Summaries"]}


TEMPLATE = """
AWSTemplateFormatVersion: 2010-09-09
Description: number %s
Parameters:
  Wallet: {Type: String, NoEcho: true, Description: of the miner}
  Kind: {Type: String, Default: spot, AllowedValues: [spot, on-demand]}
Mappings:
  AWSRegion2AMI:
    us-east-1: {AMI: ami-1}
    us-west-2: {AMI: ami-2}
    eu-west-1: {AMI: ami-3}
    eu-central-1: {AMI: ami-4}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}]}
  Handle: {Type: AWS::CloudFormation::WaitConditionHandle}
Outputs:
  Image: {Value: !FindInMap [AWSRegion2AMI, !Ref AWS::Region, AMI]}
  Role: {Value: !Sub "${Role.Arn} ${AWS::Region} ${!Literal} ${Wallet}"}
"""

# Template validation
valid = cfn.validate_template(TemplateBody=TEMPLATE % 1)
assert [(p["ParameterKey"], p.get("DefaultValue"), p["NoEcho"]) for p in valid["Parameters"]] == [("Kind", "spot", False), ("Wallet", None, True)], valid
assert valid["Capabilities"] == ["CAPABILITY_IAM"] and valid["Description"] == "number 1", valid
named = {"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "x"}}}, "Transform": "AWS::Serverless-2016-10-31"}
valid = cfn.validate_template(TemplateBody=json.dumps(named, indent="\t"))
assert valid["Capabilities"] == ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"] and valid["DeclaredTransforms"] == ["AWS::Serverless-2016-10-31"], valid
assert cfn.validate_template(TemplateURL="https://templates.s3.us-east-1.amazonaws.com/one")["Description"] == "fetched"
for body, says in {
    "Resources: [": "YAML not well-formed", "- a": "unsupported structure", "Description: x": "At least one Resources member",
    "Foo: 1": "Invalid template property or properties [Foo]", "Resources: {A: {Properties: {}}}": "must contain a Type",
    "Resources: {A: {Type: B, Properties: {C: !Ref D}}}": "Unresolved resource dependencies [D] in the Resources block",
    "Mappings: {M: {us-east-1: {x86_64: a}}}\nResources: {A: {Type: B}}": "must contain only alphanumeric characters",
    "Resources: {A: {Type: B, Properties: {C: !FindInMap [M, a, b]}}}": "mapping named 'M' is not present",
    "Resources: {A: {Type: B, Properties: }}": "'null' values are not allowed",
    "Resources: {A: {Type: B, Properties: &x {}}, C: *x}": "aliases are not allowed",
}.items():
    assert says in (message := fails("ValidationError", cfn.validate_template, TemplateBody=body)), (body, message)
assert "51200" in fails("ValidationError", cfn.validate_template, TemplateBody=TEMPLATE + "#" * 51200)
assert "S3 error" in fails("ValidationError", cfn.validate_template, TemplateURL="https://templates.s3.us-east-1.amazonaws.com/none")
assert "may not exceed" in fails("ValidationError", cfn.validate_template, TemplateURL="https://templates.s3.us-east-1.amazonaws.com/large")

# Stack set
accounts, regions = ["111111111111", "222222222222"], ["us-east-1", "eu-west-1", "eu-central-1"]
wallet = [{"ParameterKey": "Wallet", "ParameterValue": "0xsecret"}]
new = dict(StackSetName="mining", TemplateBody=TEMPLATE % 1, Parameters=wallet, Capabilities=["CAPABILITY_IAM"], ClientRequestToken="once",
           Description="d", Tags=[{"Key": "a", "Value": "b"}])
fails("InsufficientCapabilitiesException", cfn.create_stack_set, **{**new, "Capabilities": []})
assert "[Wallet] must have values" in fails("ValidationError", cfn.create_stack_set, **{**new, "Parameters": []})
assert "[Other] do not exist" in fails("ValidationError", cfn.create_stack_set, **{**new, "Parameters": wallet + [{"ParameterKey": "Other", "ParameterValue": "1"}]})
assert "AllowedValues" in fails("ValidationError", cfn.create_stack_set, **{**new, "Parameters": wallet + [{"ParameterKey": "Kind", "ParameterValue": "1"}]})
made = cfn.create_stack_set(**new)["StackSetId"]
assert cfn.create_stack_set(**new)["StackSetId"] == made
fails("NameAlreadyExistsException", cfn.create_stack_set, **{**new, "ClientRequestToken": "twice"})
fails("StackSetNotFoundException", boto3.client("cloudformation", region_name="eu-west-1").describe_stack_set, StackSetName="mining")
fails("StackSetNotFoundException", cfn.describe_stack_set, StackSetName="mining", CallAs="DELEGATED_ADMIN")

# Stack instances, in the requested region order
create = cfn.create_stack_instances(
    StackSetName="mining", Accounts=accounts, Regions=regions, OperationId="create-1",
    OperationPreferences={"RegionOrder": ["eu-central-1", "us-east-1", "eu-west-1"], "MaxConcurrentCount": 2, "FailureToleranceCount": 1})["OperationId"]
fails("OperationInProgressException", cfn.create_stack_instances, StackSetName="mining", Accounts=accounts, Regions=regions)
fails("OperationInProgressException", cfn.delete_stack_set, StackSetName="mining")
results = done("mining", create)
assert [r[0] for r in results] == ["eu-central-1"] * 2 + ["us-east-1"] * 2 + ["eu-west-1"] * 2, results
fails("OperationIdAlreadyExistsException", cfn.create_stack_instances, StackSetName="mining", Accounts=accounts, Regions=regions, OperationId="create-1")
assert set(instances("mining").values()) == {"CURRENT"} and len(instances("mining")) == 6
assert len(instances("mining", Filters=[{"Name": "DETAILED_STATUS", "Values": "SUCCEEDED"}], StackInstanceRegion="us-east-1")) == 2
fails("StackSetNotEmptyException", cfn.delete_stack_set, StackSetName="mining")

# An update of one region changes the set and marks the other instances as outdated.
again = [{"ParameterKey": "Wallet", "UsePreviousValue": True}]
fails("InsufficientCapabilitiesException", cfn.update_stack_set, StackSetName="mining", UsePreviousTemplate=True, Parameters=again)
assert "must have values" in fails("ValidationError", cfn.update_stack_set, StackSetName="mining", UsePreviousTemplate=True, Capabilities=["CAPABILITY_IAM"])
fails("StackInstanceNotFoundException", cfn.update_stack_set, StackSetName="mining", UsePreviousTemplate=True, Parameters=again,
      Capabilities=["CAPABILITY_IAM"], Accounts=accounts, Regions=["us-east-1", "us-west-2"])
update = dict(StackSetName="mining", TemplateBody=TEMPLATE % 2, Parameters=again, Capabilities=["CAPABILITY_IAM"])
done("mining", cfn.update_stack_set(Accounts=accounts, Regions=["eu-central-1"], **update)["OperationId"])
assert {r for (r, _), s in instances("mining").items() if s == "CURRENT"} == {"eu-central-1"}, instances("mining")
now = cfn.describe_stack_set(StackSetName="mining")["StackSet"]
assert now["TemplateBody"] == TEMPLATE % 2 and now["Status"] == "ACTIVE", now
assert {p["ParameterKey"]: p["ParameterValue"] for p in now["Parameters"]} == {"Wallet": "****", "Kind": "spot"}, now
assert now["Regions"] == sorted(regions) and now["PermissionModel"] == "SELF_MANAGED"
done("mining", cfn.update_stack_instances(StackSetName="mining", Accounts=accounts, Regions=["us-east-1", "eu-west-1"],
                                          ParameterOverrides=[{"ParameterKey": "Kind", "ParameterValue": "on-demand"}])["OperationId"])
assert set(instances("mining").values()) == {"CURRENT"}
one = cfn.describe_stack_instance(StackSetName="mining", StackInstanceAccount=accounts[0], StackInstanceRegion="us-east-1")["StackInstance"]
assert one["ParameterOverrides"] == [{"ParameterKey": "Kind", "ParameterValue": "on-demand"}] and one["StackId"], one
fails("StackInstanceNotFoundException", cfn.describe_stack_instance, StackSetName="mining", StackInstanceAccount="9" * 12, StackInstanceRegion="us-east-1")

# An account that is not enabled: beyond and within the failure tolerance
strange = cfn.create_stack_instances(StackSetName="mining", Accounts=["333333333333", "444444444444"], Regions=["us-east-1", "us-west-2"])["OperationId"]
results = done("mining", strange, "FAILED")
assert [r[2] for r in results] == ["FAILED", "CANCELLED", "CANCELLED", "CANCELLED"], results
why = cfn.list_stack_set_operation_results(StackSetName="mining", OperationId=strange, Filters=[
    {"Name": "OPERATION_RESULT_STATUS", "Values": "FAILED"}])["Summaries"][0]["StatusReason"]
assert why.startswith("Account 333333333333 should have 'AWSCloudFormationStackSetExecutionRole' role with trust relationship to Role"), why
tolerant = cfn.update_stack_instances(StackSetName="mining", Accounts=["333333333333", "444444444444"], Regions=["us-east-1", "us-west-2"],
                                      OperationPreferences={"FailureTolerancePercentage": 50, "MaxConcurrentPercentage": 100, "RegionConcurrencyType": "PARALLEL"})["OperationId"]
assert sorted(r[2] for r in done("mining", tolerant)) == ["FAILED", "FAILED", "SUCCEEDED", "SUCCEEDED"]
assert cfn.describe_stack_set_operation(StackSetName="mining", OperationId=tolerant)["StackSetOperation"]["StatusDetails"]["FailedStackInstancesCount"] == 2
fails("ValidationError", cfn.update_stack_set, OperationPreferences={"RegionOrder": ["us-east-1"]}, **update)

# Stopping an operation
slow = cfn.update_stack_set(**{**update, "TemplateBody": TEMPLATE % 3})["OperationId"]
cfn.stop_stack_set_operation(StackSetName="mining", OperationId=slow)
results = [r[2] for r in done("mining", slow, "STOPPED")]
assert results.count("CANCELLED") == len(results) - 1, results
fails("InvalidOperationException", cfn.stop_stack_set_operation, StackSetName="mining", OperationId=slow)
fails("OperationNotFoundException", cfn.describe_stack_set_operation, StackSetName="mining", OperationId="none")
assert cfn.list_stack_set_operations(StackSetName="mining")["Summaries"][0]["OperationId"] == slow

# Deletion with managed execution, which queues operations
everyone = sorted({a for _, a in instances("mining")})
cfn.update_stack_set(UsePreviousTemplate=True, ManagedExecution={"Active": True}, Accounts=accounts, Regions=["us-east-1"],
                     **{k: v for k, v in update.items() if k != "TemplateBody"})
ids = [cfn.delete_stack_instances(StackSetName="mining", Accounts=everyone, Regions=[r], RetainStacks=False,
                                  OperationPreferences={"FailureTolerancePercentage": 100})["OperationId"] for r in regions]
assert [o["Status"] for o in cfn.list_stack_set_operations(StackSetName="mining", MaxResults=2)["Summaries"]] == ["QUEUED", "QUEUED"]
for i in ids:
    done("mining", i)
left = {a for _, a in instances("mining")}
assert left == {"333333333333", "444444444444"}, instances("mining")
assert instances("mining")[("us-east-1", "333333333333")] == "INOPERABLE"

# Service-managed permissions
org = dict(StackSetName="org", TemplateBody=TEMPLATE % 1, Parameters=wallet, Capabilities=["CAPABILITY_NAMED_IAM"], PermissionModel="SERVICE_MANAGED", CallAs="DELEGATED_ADMIN")
fails("ValidationError", cfn.create_stack_set, **org)
fails("ValidationError", cfn.create_stack_set, **{**org, "PermissionModel": "SELF_MANAGED"})
cfn.create_stack_set(AutoDeployment={"Enabled": False}, **org)
fails("ValidationError", cfn.create_stack_instances, StackSetName="org", CallAs="DELEGATED_ADMIN", Accounts=accounts, Regions=regions)
units = {"OrganizationalUnitIds": ["ou-ab12-11111111"]}
cfn.create_stack_instances(StackSetName="org", CallAs="DELEGATED_ADMIN", DeploymentTargets=units, Regions=["us-east-1"])
time.sleep(0.3)
list1 = cfn.list_stack_instances(StackSetName="org", CallAs="DELEGATED_ADMIN")["Summaries"]
assert {i["OrganizationalUnitId"] for i in list1} == {"ou-ab12-11111111"} and {i["Status"] for i in list1} == {"CURRENT"}, list1
assert [s["StackSetName"] for s in cfn.list_stack_sets(CallAs="DELEGATED_ADMIN", Status="ACTIVE")["Summaries"]] == ["org"]
cfn.delete_stack_instances(StackSetName="org", CallAs="DELEGATED_ADMIN", DeploymentTargets=units, Regions=["us-east-1"], RetainStacks=True)
time.sleep(0.3)
cfn.delete_stack_set(StackSetName="org", CallAs="DELEGATED_ADMIN")
assert cfn.list_stack_sets(CallAs="DELEGATED_ADMIN")["Summaries"][0]["Status"] == "DELETED"

# Every update requires the customized administrator role.
role = {"AdministrationRoleARN": "arn:aws:iam::111122223333:role/admin"}
cfn.create_stack_set(**{**new, "StackSetName": "roles", **role})
plain = {**update, "StackSetName": "roles"}
assert "AdministrationRoleARN" in fails("ValidationError", cfn.update_stack_set, **plain)
done("roles", cfn.update_stack_set(**plain, **role)["OperationId"])
cfn.delete_stack_set(StackSetName="roles")
cfn.delete_stack_set(StackSetName="roles")
fails("StackSetNotFoundException", cfn.update_stack_set, **plain, **role)
fails("InvalidAction", cfn.list_exports)

# CloudWatch
cw = boto3.client("cloudwatch", region_name="eu-central-1", config=quick)
at = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
of = [{"Name": "InstanceId", "Value": "i-1"}]
cw.put_metric_data(Namespace="Mining", MetricData=[
    {"MetricName": "HashRate", "Dimensions": of, "Timestamp": at, "Value": 30e6, "Unit": "Count/Second"},
    {"MetricName": "HashRate", "Dimensions": of, "Timestamp": at, "Values": [20e6, 10e6], "Counts": [1, 2], "Unit": "Count/Second"},
    {"MetricName": "Temperature", "StatisticValues": {"SampleCount": 2, "Sum": 120, "Minimum": 50, "Maximum": 70}}])
assert [m["MetricName"] for m in cw.list_metrics(Namespace="Mining", Dimensions=[{"Name": "InstanceId"}])["Metrics"]] == ["HashRate"]
points = cw.get_metric_statistics(Namespace="Mining", MetricName="HashRate", Dimensions=of, StartTime=at - datetime.timedelta(minutes=5),
                                  EndTime=at + datetime.timedelta(minutes=5), Period=60, Statistics=["Average", "Maximum", "SampleCount"])["Datapoints"]
assert [(p["Average"], p["Maximum"], p["SampleCount"], p["Timestamp"]) for p in points] == [(17.5e6, 30e6, 4, at.replace(second=0))], points
many = [{"MetricName": "Many", "Value": n, "Dimensions": [{"Name": "GPU", "Value": str(n)}]} for n in range(600)]
cw.put_metric_data(Namespace="Many", MetricData=many)  # long enough for boto3 to compress
assert sum(len(p["Metrics"]) for p in cw.get_paginator("list_metrics").paginate(Namespace="Many")) == 600
fails("InvalidParameterValue", cw.put_metric_data, Namespace="AWS/EC2", MetricData=[{"MetricName": "x", "Value": 1}])
fails("InvalidParameterCombination", cw.put_metric_data, Namespace="x", MetricData=[{"MetricName": "y", "Value": 1}, {"MetricName": "x"}])
assert cw.list_metrics(Namespace="x")["Metrics"] == []
print("passed")
