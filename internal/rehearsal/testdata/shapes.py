# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Validates recorded responses, one JSON object per line, against botocore's models.
Every element must be in the shape of the response, and every value must have its type."""
import datetime
import json
import sys
import xml.etree.ElementTree as ET
import botocore.session

session = botocore.session.get_session()
models = {name: session.get_service_model(model) for name, model in {
    "ec2": "ec2", "sts": "sts", "kms": "kms", "servicequotas": "service-quotas", "s3": "s3", "ssm": "ssm", "iam": "iam",
    "cloudformation": "cloudformation", "autoscaling": "autoscaling", "monitoring": "cloudwatch"}.items()}
problems, validated = set(), set()


def local(element):
    return element.tag.split("}")[-1]


def check(shape, element, where, wrapped):
    kind = shape.type_name
    text = element.text or ""
    if kind == "structure":
        known = {}
        for name, member in shape.members.items():
            known[member.serialization.get("name", name)] = member
        seen = set()
        for child in element:
            name = local(child)
            if name not in known:
                problems.add(f"{where}.{name}: not in the shape {shape.name}")
                continue
            if known[name].serialization.get("flattened"):
                check(known[name].member, child, f"{where}.{name}[]", wrapped)
                seen.add(name)
                continue
            if name in seen:
                problems.add(f"{where}.{name}: duplicate")
            seen.add(name)
            check(known[name], child, f"{where}.{name}", wrapped)
        for name in shape.required_members:
            how = shape.members[name].serialization
            if how.get("name", name) not in seen and not how.get("xmlAttribute"):
                problems.add(f"{where}.{name}: required, but missing")
    elif kind == "list":
        item = shape.member.serialization.get("name", "member" if wrapped else "item")
        for child in element:
            if local(child) != item:
                problems.add(f"{where}: got element {local(child)}, want {item}")
            else:
                check(shape.member, child, where + "[]", wrapped)
    elif len(element):
        problems.add(f"{where}: has children, want a {kind}")
    else:
        try:
            if kind in ("integer", "long"):
                int(text)
            elif kind in ("double", "float"):
                float(text)
            elif kind == "boolean" and text not in ("true", "false"):
                raise ValueError(text)
            elif kind == "timestamp":
                datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            problems.add(f"{where}: {text!r} is not a {kind}")
        enum = getattr(shape, "enum", None)
        if shape.name == "ResourceStatus":  # CloudFormation's events of the stack itself have the statuses of stacks
            enum = enum + models["cloudformation"].shape_for("StackStatus").enum
        if enum and text and text not in enum and "instanceType" not in where:
            problems.add(f"{where}: {text!r} is not one of the values of {shape.name}")


def check_json(shape, value, where):
    kind = shape.type_name
    if kind == "structure":
        for name, part in value.items():
            if name not in shape.members:
                problems.add(f"{where}.{name}: not in the shape {shape.name}")
            else:
                check_json(shape.members[name], part, f"{where}.{name}")
        for name in shape.required_members:
            if name not in value:
                problems.add(f"{where}.{name}: required, but missing")
    elif kind == "list":
        for part in value:
            check_json(shape.member, part, where + "[]")
    else:
        wanted = {"string": str, "boolean": bool, "integer": int, "long": int}.get(kind, (int, float))
        if not isinstance(value, wanted):
            problems.add(f"{where}: {value!r} is not a {kind}")
        enum = getattr(shape, "enum", None)
        if enum and value not in enum:
            problems.add(f"{where}: {value!r} is not one of the values of {shape.name}")


for line in open(sys.argv[1]):
    response = json.loads(line)
    if response["service"] != "s3" and response["body"].startswith("{"):
        where = response["service"] + ":" + response["action"]
        if response["status"] == 200:
            output = models[response["service"]].operation_model(response["action"]).output_shape
            body = json.loads(response["body"])
            if output:
                check_json(output, body, where)
            elif body:
                problems.add(f"{where}: expected an empty response")
            validated.add(where)
        continue
    if not response["body"]:
        continue
    if response["service"] == "s3" and response["status"] < 300:
        where = "s3:" + response["action"]
        shape = models["s3"].operation_model(response["action"]).output_shape
        payload = shape.serialization.get("payload")
        if payload and shape.members[payload].type_name == "blob":
            continue
        root = ET.fromstring(response["body"])
        if payload:
            shape = shape.members[payload]
        if shape.name != "GetBucketLocationOutput":  # its value is the text of the root element
            check(shape, root, where, False)
        validated.add(where)
        continue
    root = ET.fromstring(response["body"])
    where = response["service"] + ":" + response["action"]
    if response["status"] != 200:
        names = {local(e) for e in root.iter()}
        if not {"Code", "Message"} <= names:
            problems.add(f"{where}: an error without Code and Message")
        continue
    operation = models[response["service"]].operation_model(response["action"])
    if local(root) != response["action"] + "Response":
        problems.add(f"{where}: the root element is {local(root)}")
    wrapped = response["service"] != "ec2"
    if wrapped:
        root = next(e for e in root if local(e) == response["action"] + "Result")
    else:
        ids = [e for e in root if local(e) == "requestId"]
        if len(ids) != 1:
            problems.add(f"{where}: has {len(ids)} requestIds")
        for e in ids:
            root.remove(e)
    validated.add(response["action"])
    if operation.output_shape is None:
        # EC2 responds with <return>true</return>, which the model omits.
        for e in root:
            if local(e) != "return":
                problems.add(f"{where}.{local(e)}: the operation has no output")
        continue
    check(operation.output_shape, root, where, wrapped)

for p in sorted(problems):
    print(p)
print(f"{len(validated)} actions validated")
sys.exit(1 if problems else 0)
