# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Makes the same calls of Auto Scaling and CloudFormation to the rehearsal and to
moto_server, and compares what they answer: the error codes, and the values that do not
depend on the server."""
import json
import sys
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


class Server:
    def __init__(self, endpoint):
        self.ec2, self.asg, self.cfn, self.iam, self.ssm = (boto3.client(name, region_name="us-east-1", endpoint_url=endpoint, config=Config(
            retries={"max_attempts": 1})) for name in ("ec2", "autoscaling", "cloudformation", "iam", "ssm"))
        self.answers = {}

    def call(self, what, call, keep=lambda answer: None, **args):
        try:
            self.answers[what] = keep(call(**args))
        except ClientError as e:
            self.answers[what] = e.response["Error"]["Code"]


def group(server):
    g = server.asg.describe_auto_scaling_groups(AutoScalingGroupNames=["miners"])["AutoScalingGroups"][0]
    names = ("AutoScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity", "DefaultCooldown", "AvailabilityZones", "HealthCheckType", "HealthCheckGracePeriod",
             "TerminationPolicies", "NewInstancesProtectedFromScaleIn", "Tags", "CapacityRebalance")
    return {**{n: g.get(n) for n in names}, "Version": g.get("LaunchTemplate", {}).get("Version"),
            "Instances": [(i["LifecycleState"], i["HealthStatus"], i["InstanceType"], i["ProtectedFromScaleIn"], i["LaunchTemplate"]["LaunchTemplateName"]) for i in g["Instances"]]}


def run(server):
    image = server.ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}, {"Name": "root-device-type", "Values": ["ebs"]},
                                                {"Name": "virtualization-type", "Values": ["hvm"]}])["Images"][0]["ImageId"]
    subnets = {s["AvailabilityZone"]: s["SubnetId"] for s in server.ec2.describe_subnets()["Subnets"]}
    server.ec2.create_launch_template(LaunchTemplateName="miner", LaunchTemplateData={"ImageId": image, "InstanceType": "g4dn.xlarge"})
    server.call("version", server.ec2.create_launch_template_version, lambda a: a["LaunchTemplateVersion"]["VersionNumber"],
                LaunchTemplateName="miner", LaunchTemplateData={"ImageId": image, "InstanceType": "g4dn.2xlarge"})
    server.call("versions", server.ec2.describe_launch_template_versions, lambda a: sorted(v["VersionNumber"] for v in a["LaunchTemplateVersions"]), LaunchTemplateName="miner")
    # AWS documents a default grace period of 0; that of moto is 300.
    new = dict(AutoScalingGroupName="miners", MinSize=0, MaxSize=3, DesiredCapacity=2, HealthCheckGracePeriod=120, VPCZoneIdentifier=subnets["us-east-1a"],
               LaunchTemplate={"LaunchTemplateName": "miner", "Version": "1"}, Tags=[{"Key": "fleet", "Value": "a", "PropagateAtLaunch": True}])
    server.call("no template", server.asg.create_auto_scaling_group, **{k: v for k, v in new.items() if k != "LaunchTemplate"})
    server.call("no zone", server.asg.create_auto_scaling_group, **{k: v for k, v in new.items() if k != "VPCZoneIdentifier"})
    server.call("create", server.asg.create_auto_scaling_group, **new)
    server.answers["group"] = group(server)
    server.call("desired", server.asg.set_desired_capacity, AutoScalingGroupName="miners", DesiredCapacity=3)
    server.answers["desired group"] = group(server)
    one = server.asg.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"][0]["InstanceId"]
    server.call("terminate", server.asg.terminate_instance_in_auto_scaling_group, InstanceId=one, ShouldDecrementDesiredCapacity=True)
    server.answers["terminated group"] = group(server)
    server.call("suspend", server.asg.suspend_processes, AutoScalingGroupName="miners", ScalingProcesses=["Launch", "Terminate"])
    server.answers["suspended"] = sorted(p["ProcessName"] for p in server.asg.describe_auto_scaling_groups()["AutoScalingGroups"][0]["SuspendedProcesses"])
    server.call("resume", server.asg.resume_processes, AutoScalingGroupName="miners")
    server.call("update", server.asg.update_auto_scaling_group, AutoScalingGroupName="miners", MaxSize=1, HealthCheckGracePeriod=60)
    server.answers["updated group"] = group(server)
    tags = server.ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"][0]["Instances"][0]["Tags"]
    server.answers["tags"] = sorted(t["Key"] for t in tags if "launchtemplate" not in t["Key"])
    server.call("delete", server.asg.delete_auto_scaling_group, AutoScalingGroupName="miners", ForceDelete=True)
    server.answers["groups"] = len(server.asg.describe_auto_scaling_groups()["AutoScalingGroups"])

    template = {"Parameters": {"Size": {"Type": "String", "Default": "1"}, "Subnet": {"Type": "String"}, "Image": {"Type": "String"}},
                "Conditions": {"Big": {"Fn::Equals": [{"Ref": "Size"}, "2"]}}, "Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}}},
        "Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Role"}]}},
        "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "d"}},
        "Value": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/a", "Type": "String", "Value": {"Fn::Join": ["-", ["size", {"Ref": "Size"}, {"Fn::If": ["Big", "big", "small"]}]]}}},
        "Template": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateName": "stack", "LaunchTemplateData": {"ImageId": {"Ref": "Image"}, "InstanceType": "g4dn.xlarge", "SecurityGroupIds": [{"Fn::GetAtt": ["Group", "GroupId"]}]}}},
        "Miners": {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": {"MinSize": "0", "MaxSize": "3", "DesiredCapacity": {"Ref": "Size"}, "VPCZoneIdentifier": [{"Ref": "Subnet"}],
                   "LaunchTemplate": {"LaunchTemplateId": {"Ref": "Template"}, "Version": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]}}}}},
        "Outputs": {"Value": {"Value": {"Ref": "Value"}}, "Text": {"Value": {"Fn::Sub": "${AWS::StackName} in ${AWS::Region}: ${Size}"}}}}
    args = dict(StackName="fleet", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"], Parameters=[
        {"ParameterKey": "Subnet", "ParameterValue": subnets["us-east-1a"]}, {"ParameterKey": "Image", "ParameterValue": image}])

    def stack(what):
        d = server.cfn.describe_stacks(StackName="fleet")["Stacks"][0]
        server.answers[what] = (d["StackStatus"], sorted((o["OutputKey"], o["OutputValue"]) for o in d["Outputs"]), server.ssm.get_parameter(Name="/a")["Parameter"]["Value"],
                                [g["DesiredCapacity"] for g in server.asg.describe_auto_scaling_groups()["AutoScalingGroups"]])
    server.call("missing", server.cfn.describe_stacks, StackName="fleet")
    server.call("stack", server.cfn.create_stack, **args)
    server.call("again", server.cfn.create_stack, **args)
    stack("created stack")
    server.answers["resources"] = sorted((r["LogicalResourceId"], r["ResourceType"], r["ResourceStatus"]) for r in server.cfn.describe_stack_resources(StackName="fleet")["StackResources"])
    args["Parameters"].append({"ParameterKey": "Size", "ParameterValue": "2"})
    server.call("update stack", server.cfn.update_stack, **args)
    stack("updated stack")
    server.call("delete stack", server.cfn.delete_stack, StackName="fleet")
    server.call("deleted", server.cfn.describe_stacks, StackName="fleet")
    server.answers["left"] = (len(server.asg.describe_auto_scaling_groups()["AutoScalingGroups"]), len(server.iam.list_roles()["Roles"]))
    server.call("parameter", server.ssm.get_parameter, Name="/a")


servers = [Server(endpoint) for endpoint in sys.argv[1:]]
for server in servers:
    run(server)
differences = [f"{what}: got {answer!r}, want {servers[1].answers[what]!r}" for what, answer in servers[0].answers.items() if answer != servers[1].answers[what]]
print("\n".join(differences))
assert not differences
print(len(servers[0].answers), "answers are equal: passed")
