# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Sends requests with wrong signatures with boto3, whose botocore signs as AWS documents,
and compares the errors with those of AWS."""
import datetime
import boto3
import botocore.auth
from botocore.config import Config
from botocore.exceptions import ClientError

quick = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
JSON = ("InvalidSignatureException", "UnrecognizedClientException", "InvalidSignatureException")
QUERY = ("SignatureDoesNotMatch", "InvalidClientTokenId", "SignatureDoesNotMatch")
# The codes of a wrong signature, an unknown key, and a signature of another time
CALLS = {
    "ec2": ("describe_regions", ("AuthFailure", "AuthFailure", "RequestExpired")), "sts": ("get_caller_identity", QUERY), "iam": ("list_roles", QUERY),
    "cloudformation": ("list_stacks", QUERY), "autoscaling": ("describe_auto_scaling_groups", QUERY), "cloudwatch": ("list_metrics", QUERY),
    "ssm": ("describe_parameters", JSON), "kms": ("create_key", JSON), "service-quotas": ("list_services", JSON), "pricing": ("describe_services", JSON),
    "s3": ("list_buckets", ("SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed")),
}

ACCEPTED = ("", "InvalidAction", "UnknownOperationException")


def code(client, call, change=None, **args):
    def send(request, **_):
        change(request)
    if change:
        client.meta.events.register("before-send", send)
    try:
        getattr(client, call)(**args)
        return ""
    except ClientError as e:
        return e.response["Error"]["Code"]
    finally:
        if change:
            client.meta.events.unregister("before-send", send)


def client(service, **keys):
    return boto3.client(service, region_name="us-east-1", config=quick, **keys)


def body(request):
    request.body = (request.body.encode() if isinstance(request.body, str) else request.body) + b" "
    request.headers["Content-Length"] = str(len(request.body))


def query(request):
    request.url += ("&" if "?" in request.url else "?") + "Extra=1"


def token(request):
    request.headers["X-Amz-Security-Token"] = "unsigned"


def header(request):
    at = request.headers["X-Amz-Date"]
    at = at.decode() if isinstance(at, bytes) else at
    del request.headers["X-Amz-Date"]
    request.headers["X-Amz-Date"] = at[:9] + "000000Z"  # midnight of the same day


def host(request):
    request.headers["Host"] = "elsewhere.example"


real = botocore.auth.get_current_datetime
for service, (call, (wrong, unknown, late)) in CALLS.items():
    good = client(service)
    accepted = code(good, call)
    assert accepted in ACCEPTED, (service, accepted)  # the signature is valid in any case
    for change in (query, token, header, host) + ((body,) if service != "s3" else ()):
        assert code(good, call, change) == wrong, (service, change.__name__, code(good, call, change))
    session = boto3.Session().get_credentials()
    assert code(client(service, aws_access_key_id=session.access_key, aws_secret_access_key="other"), call) == wrong, service
    assert code(client(service, aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key=session.secret_key), call) == unknown, service
    for minutes in (-20, 20):
        botocore.auth.get_current_datetime = lambda remove_tzinfo=True, m=minutes: real(remove_tzinfo) + datetime.timedelta(minutes=m)
        assert code(client(service), call) == late, (service, minutes, code(client(service), call))
    botocore.auth.get_current_datetime = real

# A session of a role needs its own token.
role = client("sts").assume_role(RoleArn="arn:aws:iam::222222222222:role/fleet", RoleSessionName="fleet")["Credentials"]
keys = dict(aws_access_key_id=role["AccessKeyId"], aws_secret_access_key=role["SecretAccessKey"])
for service in ("ec2", "iam", "sts", "ssm", "kms", "cloudformation", "autoscaling", "cloudwatch"):
    call, (wrong, unknown, _) = CALLS[service]
    assert code(client(service, aws_session_token=role["SessionToken"], **keys), call) in ACCEPTED, service
    assert code(client(service, aws_session_token=role["SessionToken"], **keys), call, query) == wrong, service
    for other in (None, "other"):
        assert code(client(service, aws_session_token=other, **keys), call) == unknown, (service, other)

# A presigned URL expires.
bucket = client("s3")
bucket.create_bucket(Bucket="signed")
botocore.auth.get_current_datetime = lambda remove_tzinfo=True: real(remove_tzinfo) - datetime.timedelta(minutes=2)
signed = boto3.client("s3", region_name="us-east-1", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
from urllib.request import urlopen
from urllib.error import HTTPError
assert urlopen(signed.generate_presigned_url("list_objects_v2", Params={"Bucket": "signed"}, ExpiresIn=600)).status == 200
try:
    urlopen(signed.generate_presigned_url("list_objects_v2", Params={"Bucket": "signed"}, ExpiresIn=60))
    raise AssertionError("an expired URL was accepted")
except HTTPError as e:
    assert e.code == 403 and b"Request has expired" in e.read()
botocore.auth.get_current_datetime = real
bucket.delete_bucket(Bucket="signed")
print("passed")
