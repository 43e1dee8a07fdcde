# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Calls Auto Scaling, stacks of CloudFormation, and what they need of EC2, with boto3.
The server has no delays."""
import json
import sys
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

quick = Config(retries={"max_attempts": 1})
ec2, asg, cfn, iam, ssm = (boto3.client(name, region_name="us-east-1", config=quick) for name in ("ec2", "autoscaling", "cloudformation", "iam", "ssm"))


def fails(code, call, **args):
    try:
        call(**args)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, (code, e.response)
        return e.response["Error"]["Message"]
    raise AssertionError(f"expected {code}")


def group(name="miners"):
    return asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]


def activities(name="miners", **more):
    pages = asg.get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=name, PaginationConfig={"PageSize": 2}, **more)
    return [a for p in pages for a in p["Activities"]]


def running(name="miners"):
    found = ec2.describe_instances(Filters=[{"Name": "tag:aws:autoscaling:groupName", "Values": [name]}, {"Name": "instance-state-name", "Values": ["running"]}])
    return [i for r in found["Reservations"] for i in r["Instances"]]


image = ec2.describe_images(Owners=["099720109477"], Filters=[{"Name": "name", "Values": ["*noble*amd64*"]}])["Images"][0]["ImageId"]
subnets = [s["SubnetId"] for s in ec2.describe_subnets()["Subnets"]]

# Versions of launch templates
lt = ec2.create_launch_template(LaunchTemplateName="miner", LaunchTemplateData={"ImageId": image, "InstanceType": "g4dn.xlarge", "UserData": "aGk="})["LaunchTemplate"]["LaunchTemplateId"]
two = ec2.create_launch_template_version(LaunchTemplateId=lt, SourceVersion="1", VersionDescription="two", LaunchTemplateData={"InstanceType": "g4dn.2xlarge"})["LaunchTemplateVersion"]
assert two["VersionNumber"] == 2 and two["LaunchTemplateData"]["ImageId"] == image and not two["DefaultVersion"], two
assert [v["VersionNumber"] for v in ec2.describe_launch_template_versions(LaunchTemplateName="miner")["LaunchTemplateVersions"]] == [2, 1]
assert ec2.describe_launch_template_versions(LaunchTemplateId=lt, Versions=["$Latest", "$Default"])["LaunchTemplateVersions"][0]["VersionDescription"] == "two"
fails("InvalidLaunchTemplateId.VersionNotFound", ec2.describe_launch_template_versions, LaunchTemplateId=lt, Versions=["3"])

# A group's checks
new = dict(AutoScalingGroupName="miners", MinSize=0, MaxSize=4, DesiredCapacity=2, VPCZoneIdentifier=",".join(subnets), LaunchTemplate={"LaunchTemplateId": lt, "Version": "1"},
           HealthCheckGracePeriod=300, Tags=[{"Key": "fleet", "Value": "a", "PropagateAtLaunch": True}, {"Key": "not", "Value": "b", "PropagateAtLaunch": False}])
fails("ValidationError", asg.create_auto_scaling_group, **{**new, "MinSize": 5})
fails("ValidationError", asg.create_auto_scaling_group, **{**new, "DesiredCapacity": 5})
fails("ValidationError", asg.create_auto_scaling_group, **{**new, "VPCZoneIdentifier": "subnet-unknown"})
fails("ValidationError", asg.create_auto_scaling_group, **{**new, "Tags": [{"Key": "aws:x", "Value": "a", "PropagateAtLaunch": True}]})
fails("ValidationError", asg.create_auto_scaling_group, **{**new, "LaunchTemplate": {"LaunchTemplateId": lt, "Version": "9"}})
bad = ec2.create_launch_template(LaunchTemplateName="bad", LaunchTemplateData={"ImageId": "ami-00000000", "InstanceType": "g4dn.xlarge"})["LaunchTemplate"]["LaunchTemplateId"]
assert "does not exist" in fails("ValidationError", asg.create_auto_scaling_group, **{**new, "LaunchTemplate": {"LaunchTemplateId": bad, "Version": "1"}})
asg.create_auto_scaling_group(**new)
fails("AlreadyExists", asg.create_auto_scaling_group, **new)

# Instances in different zones, with tags, and why
g = group()
assert [(i["LifecycleState"], i["HealthStatus"], i["LaunchTemplate"]["Version"]) for i in g["Instances"]] == [("InService", "Healthy", "1")] * 2, g
assert len({i["AvailabilityZone"] for i in g["Instances"]}) == 2, g
tags = {t["Key"]: t["Value"] for t in running()[0]["Tags"]}
assert tags["fleet"] == "a" and tags["aws:autoscaling:groupName"] == "miners" and tags["aws:ec2launchtemplate:version"] == "1" and "not" not in tags, tags
log = activities()
assert len(log) == 2 and all(a["StatusCode"] == "Successful" and a["Description"].startswith("Launching a new EC2 instance: i-") for a in log), log
assert "a user request created an AutoScalingGroup changing the desired capacity from 0 to 2." in log[0]["Cause"] and "increasing the capacity from 1 to 2." in log[0]["Cause"], log

# Health: the grace period, then a replacement; an instance that ends
sick = g["Instances"][0]["InstanceId"]
asg.set_instance_health(InstanceId=sick, HealthStatus="Unhealthy")
assert sick in [i["InstanceId"] for i in group()["Instances"]]
asg.set_instance_health(InstanceId=sick, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
g = group()
assert sick not in [i["InstanceId"] for i in g["Instances"]] and len(g["Instances"]) == 2, g
assert activities()[1]["Cause"].endswith("an instance was taken out of service in response to a user health-check."), activities()[:2]
assert activities()[0]["Cause"].endswith("an instance was launched in response to an unhealthy instance needing to be replaced."), activities()[:2]
ec2.terminate_instances(InstanceIds=[g["Instances"][0]["InstanceId"]])
assert len(group()["Instances"]) == 2 and any("EC2 health check indicating it has been terminated or stopped" in a["Cause"] for a in activities()[:2]), activities()[:2]
fails("ValidationError", asg.set_instance_health, InstanceId="i-00000000", HealthStatus="Unhealthy")

# Capacity
asg.set_desired_capacity(AutoScalingGroupName="miners", DesiredCapacity=3)
assert len(group()["Instances"]) == 3
asg.update_auto_scaling_group(AutoScalingGroupName="miners", MaxSize=1)
assert len(group()["Instances"]) == 1 and "shrinking the capacity from 2 to 1" in activities()[0]["Cause"], activities()[0]
fails("ValidationError", asg.set_desired_capacity, AutoScalingGroupName="miners", DesiredCapacity=2)
one = group()["Instances"][0]["InstanceId"]
ended = asg.terminate_instance_in_auto_scaling_group(InstanceId=one, ShouldDecrementDesiredCapacity=False)["Activity"]
assert ended["Description"] == "Terminating EC2 instance: " + one and group()["Instances"][0]["InstanceId"] != one
assert asg.describe_auto_scaling_instances()["AutoScalingInstances"][0]["HealthStatus"] == "HEALTHY"
asg.terminate_instance_in_auto_scaling_group(InstanceId=group()["Instances"][0]["InstanceId"], ShouldDecrementDesiredCapacity=True)
assert group()["DesiredCapacity"] == 0 and not group()["Instances"]

# Suspended processes
asg.suspend_processes(AutoScalingGroupName="miners", ScalingProcesses=["Launch"])
asg.update_auto_scaling_group(AutoScalingGroupName="miners", MaxSize=4, DesiredCapacity=4)
assert not group()["Instances"] and [p["ProcessName"] for p in group()["SuspendedProcesses"]] == ["Launch"]
asg.resume_processes(AutoScalingGroupName="miners")
assert len(group()["Instances"]) == 4

# An instance refresh replaces all instances, and skips those that match.
refresh = asg.start_instance_refresh(AutoScalingGroupName="miners", DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateId": lt, "Version": "2"}},
                                     Preferences={"MinHealthyPercentage": 50, "SkipMatching": True})["InstanceRefreshId"]
for _ in range(20):
    state = asg.describe_instance_refreshes(AutoScalingGroupName="miners", InstanceRefreshIds=[refresh])["InstanceRefreshes"][0]
assert state["Status"] == "Successful" and state["PercentageComplete"] == 100, state
assert {i["InstanceType"] for i in group()["Instances"]} == {"g4dn.2xlarge"}
fails("ActiveInstanceRefreshNotFound", asg.cancel_instance_refresh, AutoScalingGroupName="miners")
fails("ResourceInUse", asg.delete_auto_scaling_group, AutoScalingGroupName="miners")
asg.delete_auto_scaling_group(AutoScalingGroupName="miners", ForceDelete=True)
assert not asg.describe_auto_scaling_groups()["AutoScalingGroups"] and not running()
fails("ValidationError", asg.describe_scaling_activities, AutoScalingGroupName="miners")
assert len(activities(IncludeDeletedGroups=True)) > 10

# Mixed instances: weights, an on-demand base, and spot for the rest
mixed = {"LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateId": lt, "Version": "1"}, "Overrides": [
    {"InstanceType": "g5.xlarge", "WeightedCapacity": "5"}, {"InstanceType": "g4dn.xlarge", "WeightedCapacity": "3"}]},
    "InstancesDistribution": {"OnDemandBaseCapacity": 3, "OnDemandPercentageAboveBaseCapacity": 0, "SpotAllocationStrategy": "price-capacity-optimized"}}
plain = {k: v for k, v in new.items() if k != "LaunchTemplate"}
fails("ValidationError", asg.create_auto_scaling_group, **plain)
wrong = json.loads(json.dumps(mixed))
wrong["LaunchTemplate"]["Overrides"][0]["WeightedCapacity"] = "1000"
fails("ValidationError", asg.create_auto_scaling_group, MixedInstancesPolicy=wrong, **plain)
asg.create_auto_scaling_group(**{**plain, "MaxSize": 30, "DesiredCapacity": 20, "CapacityRebalance": True}, MixedInstancesPolicy=mixed)
g = group()
weights = sum(int(i["WeightedCapacity"]) for i in g["Instances"])
assert 20 <= weights < 25, g["Instances"]
spot = [i for i in running() if i.get("InstanceLifecycle") == "spot"]
assert len(running()) - len(spot) == 1 and len(running()) == len(g["Instances"]), running()
asg.delete_auto_scaling_group(AutoScalingGroupName="miners", ForceDelete=True)

# The image of a parameter: an instance refresh launches what the parameter names then.
images = [i["ImageId"] for i in ec2.describe_images(Owners=["099720109477"], Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"][:2]]
ssm.put_parameter(Name="/client/latest", Type="String", Value=images[0])
ec2.create_launch_template(LaunchTemplateName="latest", LaunchTemplateData={"ImageId": "resolve:ssm:/client/latest", "InstanceType": "g4dn.xlarge"})
asg.create_auto_scaling_group(**{**new, "LaunchTemplate": {"LaunchTemplateName": "latest", "Version": "$Latest"}})
assert {i["ImageId"] for i in running()} == {images[0]}
ssm.put_parameter(Name="/client/latest", Type="String", Value=images[1], Overwrite=True)
asg.start_instance_refresh(AutoScalingGroupName="miners")
for _ in range(20):
    state = asg.describe_instance_refreshes(AutoScalingGroupName="miners")["InstanceRefreshes"][0]
assert state["Status"] == "Successful" and {i["ImageId"] for i in running()} == {images[1]}, (state, running())
asg.delete_auto_scaling_group(AutoScalingGroupName="miners", ForceDelete=True)
ec2.delete_launch_template(LaunchTemplateName="latest")
ssm.delete_parameter(Name="/client/latest")

# A stack
TEMPLATE = {
    "Description": "a fleet", "Parameters": {
        "Image": {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "Default": "/client/image"}, "Size": {"Type": "Number", "Default": 1},
        "Secret": {"Type": "String", "NoEcho": True, "Default": "x"}, "Subnets": {"Type": "List<AWS::EC2::Subnet::Id>"}},
    "Conditions": {"Big": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Size"}, "1"]}]}, "Never": {"Fn::And": [{"Condition": "Big"}, {"Fn::Equals": ["a", "b"]}]}},
    "Mappings": {"M": {"us-east-1": {"Type": "g4dn.xlarge"}}},
    "Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {
            "AssumeRolePolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]},
            "Policies": [{"PolicyName": "signal", "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "cloudformation:SignalResource", "Resource": {"Ref": "AWS::StackId"}}]}}]}},
        "Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Role"}]}},
        "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "no inbound", "SecurityGroupEgress": [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]}},
        "Template": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": {
            "ImageId": {"Ref": "Image"}, "InstanceType": {"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "Type"]},
            "IamInstanceProfile": {"Arn": {"Fn::GetAtt": ["Profile", "Arn"]}}, "SecurityGroupIds": [{"Fn::GetAtt": ["Group", "GroupId"]}],
            "MetadataOptions": {"HttpTokens": "required"}, "UserData": {"Fn::Base64": {"Fn::Sub": "size ${Size} of ${AWS::StackName} ${!Literal}"}},
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": {"Fn::Join": ["-", ["a", {"Fn::Select": [1, {"Fn::Split": [",", "b,c"]}]}]]}}]}]}}},
        "Miners": {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": {
            "MinSize": "0", "MaxSize": "4", "DesiredCapacity": {"Ref": "Size"}, "VPCZoneIdentifier": {"Ref": "Subnets"},
            "LaunchTemplate": {"LaunchTemplateId": {"Ref": "Template"}, "Version": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]}}}},
        "Hidden": {"Type": "AWS::SNS::Topic", "Condition": "Never"},
        "Value": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::If": ["Big", "big", "small"]}}},
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Zone": {"Fn::Select": [0, {"Fn::GetAZs": ""}]}}}},
    "Outputs": {"Name": {"Value": {"Ref": "Miners"}}, "Value": {"Value": {"Fn::GetAtt": ["Value", "Value"]}}}}
ssm.put_parameter(Name="/client/image", Type="String", Value=image)
args = dict(StackName="fleet", TemplateBody=json.dumps(TEMPLATE), Capabilities=["CAPABILITY_IAM"], Tags=[{"Key": "team", "Value": "t"}],
            Parameters=[{"ParameterKey": "Subnets", "ParameterValue": ",".join(subnets)}])
fails("InsufficientCapabilitiesException", cfn.create_stack, **{**args, "Capabilities": []})
fails("ValidationError", cfn.create_stack, **{**args, "StackName": "1"})
fails("ValidationError", cfn.describe_stacks, StackName="fleet")
stack = cfn.create_stack(**args)["StackId"]
fails("AlreadyExistsException", cfn.create_stack, **args)
d = cfn.describe_stacks(StackName="fleet")["Stacks"][0]
assert d["StackStatus"] == "CREATE_COMPLETE" and d["StackId"] == stack, (d, cfn.describe_stack_events(StackName="fleet"))
values = {p["ParameterKey"]: (p["ParameterValue"], p.get("ResolvedValue")) for p in d["Parameters"]}
assert values["Secret"][0] == "****" and values["Image"] == ("/client/image", image), values
outputs = {o["OutputKey"]: o["OutputValue"] for o in d["Outputs"]}
assert outputs["Value"] == "small" and outputs["Name"].startswith("fleet-Miners-"), outputs
tags = {t["Key"]: t["Value"] for t in running(outputs["Name"])[0]["Tags"]}
assert tags["aws:cloudformation:stack-id"] == stack and tags["aws:cloudformation:logical-id"] == "Miners" and tags["aws:cloudformation:stack-name"] == "fleet", tags
assert tags["team"] == "t" and tags["Name"] == "a-c", tags
pages = cfn.get_paginator("describe_stack_events").paginate(StackName="fleet")
events = [(e["LogicalResourceId"], e["ResourceStatus"]) for p in pages for e in p["StackEvents"]]
assert events[0] == ("fleet", "CREATE_COMPLETE") and events[-1] == ("fleet", "CREATE_IN_PROGRESS") and ("Hidden", "CREATE_COMPLETE") not in events, events
assert len(cfn.describe_stack_resources(StackName="fleet")["StackResources"]) == 7
assert cfn.describe_stack_resources(PhysicalResourceId=outputs["Name"])["StackResources"]
assert cfn.describe_stack_resource(StackName="fleet", LogicalResourceId="Miners")["StackResourceDetail"]["PhysicalResourceId"] == outputs["Name"]
assert len(cfn.list_stack_resources(StackName="fleet")["StackResourceSummaries"]) == 7
assert cfn.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"][0]["StackName"] == "fleet"
assert "a fleet" in json.dumps(cfn.get_template(StackName="fleet")["TemplateBody"])
assert iam.list_role_policies(RoleName=cfn.describe_stack_resource(StackName="fleet", LogicalResourceId="Role")["StackResourceDetail"]["PhysicalResourceId"])["PolicyNames"] == ["signal"]

# Updates
assert fails("ValidationError", cfn.update_stack, **args) == "No updates are to be performed."
cfn.update_stack(StackName="fleet", UsePreviousTemplate=True, Capabilities=["CAPABILITY_IAM"], Tags=args["Tags"], Parameters=[
    {"ParameterKey": "Size", "ParameterValue": "2"}, {"ParameterKey": "Subnets", "UsePreviousValue": True}, {"ParameterKey": "Secret", "UsePreviousValue": True}])
d = cfn.describe_stacks(StackName="fleet")["Stacks"][0]
assert d["StackStatus"] == "UPDATE_COMPLETE" and {o["OutputKey"]: o["OutputValue"] for o in d["Outputs"]}["Value"] == "big", (d, cfn.describe_stack_events(StackName="fleet")["StackEvents"][:4])
assert len(running(outputs["Name"])) == 2
assert {"Miners", "Template", "Value"} == {e["LogicalResourceId"] for e in cfn.describe_stack_events(StackName="fleet")["StackEvents"] if e["ResourceStatus"] == "UPDATE_COMPLETE"} - {"fleet"}

# A failed creation is rolled back.
broken = json.loads(json.dumps(TEMPLATE))
broken["Resources"]["Miners"]["Properties"]["MinSize"] = "9"
cfn.create_stack(**{**args, "StackName": "broken", "TemplateBody": json.dumps(broken)})
d = cfn.describe_stacks(StackName="broken")["Stacks"][0]
assert d["StackStatus"] == "ROLLBACK_COMPLETE", d
log = cfn.describe_stack_events(StackName="broken")["StackEvents"]
why = [e["ResourceStatusReason"] for e in log if e["ResourceStatus"] == "CREATE_FAILED" and e["LogicalResourceId"] == "Miners"]
assert len(why) == 1 and "(Service: AutoScaling, Status Code: 400)" in why[0], why
assert any(e["ResourceStatus"] == "ROLLBACK_IN_PROGRESS" and e["ResourceStatusReason"] == "The following resource(s) failed to create: [Miners]. Rollback requested by user." for e in log), log
assert "ROLLBACK_COMPLETE state and can not be updated" in fails("ValidationError", cfn.update_stack, **{**args, "StackName": "broken"})
assert "can not be signaled" in fails("ValidationError", cfn.signal_resource, StackName="broken", LogicalResourceId="Miners", UniqueId="i", Status="SUCCESS")
for name in ("fleet", "broken"):
    cfn.delete_stack(StackName=name)
assert not cfn.describe_stacks()["Stacks"] and cfn.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
ssm.delete_parameter(Name="/client/image")
for template in (lt, bad):
    ec2.delete_launch_template(LaunchTemplateId=template)
print("passed")
