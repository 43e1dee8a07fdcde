# Copyright The packer-plugin-ethminer Authors
# SPDX-License-Identifier: MPL-2.0
"""Calls the S3 actions that publishing uses, with boto3."""
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, MissingDependencyException

quick = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})


def client(region):
    return boto3.client("s3", region_name=region, config=quick)


def fails(code, call, status=None, **args):
    try:
        call(**args)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, (code, e.response)
        assert status in (None, e.response["ResponseMetadata"]["HTTPStatusCode"]), e.response
        return e.response
    raise AssertionError(f"expected {code}")


home, virginia = client("eu-central-1"), client("us-east-1")
at = {"Bucket": "client-home"}
fails("NoSuchBucket", home.get_object, 404, Key="k", **at)
fails("404", home.head_bucket, 404, **at)
fails("IllegalLocationConstraintException", home.create_bucket, **at)
fails("IllegalLocationConstraintException", home.create_bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}, **at)
fails("InvalidBucketName", virginia.create_bucket, Bucket="No-Capitals")
home.create_bucket(CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}, **at)
fails("BucketAlreadyOwnedByYou", home.create_bucket, 409, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}, **at)
virginia.create_bucket(Bucket="client-away")
virginia.create_bucket(Bucket="client-away")  # S3 accepts a second creation only in us-east-1
assert home.head_bucket(**at)["BucketRegion"] == "eu-central-1"
assert home.get_bucket_location(**at)["LocationConstraint"] == "eu-central-1"
assert virginia.get_bucket_location(Bucket="client-away")["LocationConstraint"] is None
assert [b["Name"] for b in home.list_buckets()["Buckets"]] == ["client-away", "client-home"]
fails("InvalidAccessKeyId", client("ap-east-1").list_buckets, 403)
put = home.put_object(Key="a/one", Body=b"one", ContentType="text/plain", CacheControl="no-cache", Metadata={"number": "1"}, Tagging="team=x+y&cost=1",
                      ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/client", **at)
assert put["ETag"] == '"f97c5d29941bfb1b2fdab0874906ab82"' and put["SSEKMSKeyId"] == "alias/client", put
got = virginia.get_object(Key="a/one", **at)  # redirected by x-amz-bucket-region
assert got["Body"].read() == b"one"
got = home.get_object(Key="a/one", ChecksumMode="ENABLED", **at)
assert got["Body"].read() == b"one" and got["ContentType"] == "text/plain" and got["Metadata"] == {"number": "1"} and got["TagCount"] == 2, got
assert got["ServerSideEncryption"] == "aws:kms" and got["ChecksumCRC32"], got
assert home.head_object(Key="a/one", **at)["ContentLength"] == 3
assert home.get_object(Key="a/one", Range="bytes=1-", **at)["Body"].read() == b"ne"
fails("NoSuchKey", home.get_object, 404, Key="none", **at)
fails("404", home.head_object, 404, Key="none", **at)
fails("AccessDenied", home.get_object, 403, Key="a/one", ExpectedBucketOwner="999999999999", **at)

# Conditions
fails("PreconditionFailed", home.put_object, 412, Key="a/one", Body=b"two", IfNoneMatch="*", **at)
fails("PreconditionFailed", home.put_object, 412, Key="a/one", Body=b"two", IfMatch='"0"', **at)
fails("NoSuchKey", home.put_object, 404, Key="none", Body=b"two", IfMatch=put["ETag"], **at)
home.put_object(Key="a/one", Body=b"two", IfMatch=put["ETag"], **at)
fails("304", home.get_object, 304, Key="a/one", IfNoneMatch=home.head_object(Key="a/one", **at)["ETag"], **at)

# Checksums
for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
    try:
        key = home.put_object(Key="sum/" + algorithm, Body=b"123456789", ChecksumAlgorithm=algorithm, **at)
    except MissingDependencyException:
        continue  # requires awscrt
    sums = home.head_object(Key="sum/" + algorithm, ChecksumMode="ENABLED", **at)
    assert sums["Checksum" + algorithm] == key["Checksum" + algorithm], (key, sums)
home.put_object(Key="sum/given", Body=b"123456789", ChecksumCRC32="y/Q5Jg==", **at)
fails("BadDigest", home.put_object, 400, Key="sum/wrong", Body=b"123456789", ChecksumCRC32="AAAAAA==", **at)
fails("BadDigest", home.put_object, 400, Key="sum/wrong", Body=b"123456789", ChecksumSHA256="A" * 43 + "=", **at)
fails("404", home.head_object, Key="sum/wrong", **at)

# Tags, ACLs
assert home.get_object_tagging(Key="a/one", **at)["TagSet"] == []
home.put_object_tagging(Key="a/one", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]}, **at)
assert home.get_object_tagging(Key="a/one", **at)["TagSet"] == [{"Key": "k", "Value": "v"}]
home.delete_object_tagging(Key="a/one", **at)
fails("NoSuchTagSet", home.get_bucket_tagging, 404, **at)
home.put_bucket_tagging(Tagging={"TagSet": [{"Key": "k", "Value": "v"}]}, **at)
assert home.get_bucket_tagging(**at)["TagSet"] == [{"Key": "k", "Value": "v"}]
home.delete_bucket_tagging(**at)
fails("AccessControlListNotSupported", home.put_object, 400, Key="p", Body=b"", ACL="private", **at)
assert home.get_bucket_ownership_controls(**at)["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
home.put_bucket_ownership_controls(OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}, **at)
fails("AccessDenied", home.put_object, 403, Key="p", Body=b"", ACL="public-read", **at)
assert home.get_public_access_block(**at)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]
home.put_public_access_block(PublicAccessBlockConfiguration={"BlockPublicAcls": False}, **at)
home.put_object(Key="p", Body=b"", ACL="public-read", **at)
assert [g["Permission"] for g in home.get_object_acl(Key="p", **at)["Grants"]] == ["FULL_CONTROL", "READ"]
home.put_object_acl(Key="p", ACL="private", **at)
assert len(home.get_object_acl(Key="p", **at)["Grants"]) == 1
home.get_bucket_acl(**at)
home.delete_public_access_block(**at)
fails("NoSuchPublicAccessBlockConfiguration", home.get_public_access_block, 404, **at)
home.delete_bucket_ownership_controls(**at)
fails("OwnershipControlsNotFoundError", home.get_bucket_ownership_controls, 404, **at)

# Lists
for key in ("list/a", "list/b/1", "list/b/2", "list/c +é", "list/d/1"):
    home.put_object(Key=key, Body=b"x", **at)
pages = list(home.get_paginator("list_objects_v2").paginate(Prefix="list/", Delimiter="/", PaginationConfig={"PageSize": 1}, **at))
assert len(pages) == 4, len(pages)
found = [o["Key"] for p in pages for o in p.get("Contents", [])] + [o["Prefix"] for p in pages for o in p.get("CommonPrefixes", [])]
assert found == ["list/a", "list/c +é", "list/b/", "list/d/"], found
pages = list(home.get_paginator("list_objects").paginate(Prefix="list/", PaginationConfig={"PageSize": 2}, **at))
assert [len(p["Contents"]) for p in pages] == [2, 2, 1]
assert home.list_objects_v2(StartAfter="list/c", Prefix="list/", **at)["KeyCount"] == 2
copied = home.copy_object(Key="copy", CopySource="client-home/list/c +é", **at)
assert copied["CopyObjectResult"]["ETag"] == home.head_object(Key="list/a", **at)["ETag"]
virginia.copy_object(Key="copy", CopySource="client-home/a/one", Bucket="client-away", MetadataDirective="REPLACE", Metadata={"n": "2"})
assert virginia.head_object(Bucket="client-away", Key="copy")["Metadata"] == {"n": "2"}
fails("InvalidRequest", home.copy_object, 400, Key="copy", CopySource="client-home/copy", **at)

# Versions
assert "Status" not in home.get_bucket_versioning(**at)
home.put_bucket_versioning(VersioningConfiguration={"Status": "Enabled"}, **at)
assert home.get_bucket_versioning(**at)["Status"] == "Enabled"
first = home.put_object(Key="v", Body=b"1", **at)["VersionId"]
second = home.put_object(Key="v", Body=b"2", **at)["VersionId"]
assert home.get_object(Key="v", VersionId=first, **at)["Body"].read() == b"1"
assert home.get_object(Key="v", **at)["VersionId"] == second
gone = home.delete_object(Key="v", **at)
assert gone["DeleteMarker"]
fails("NoSuchKey", home.get_object, 404, Key="v", **at)
fails("MethodNotAllowed", home.get_object, 405, Key="v", VersionId=gone["VersionId"], **at)
fails("NoSuchVersion", home.get_object, 404, Key="v", VersionId="0" * 32, **at)
listed = list(home.get_paginator("list_object_versions").paginate(Prefix="v", PaginationConfig={"PageSize": 1}, **at))
assert [v["VersionId"] for p in listed for v in p.get("Versions", [])] == [second, first], listed
assert [v["IsLatest"] for p in listed for v in p.get("DeleteMarkers", [])] == [True], listed
assert home.delete_object(Key="v", VersionId=gone["VersionId"], **at)["DeleteMarker"]
assert home.get_object(Key="v", **at)["Body"].read() == b"2"

# Deletion
fails("BucketNotEmpty", home.delete_bucket, 409, **at)
for c, name in ((home, "client-home"), (virginia, "client-away")):
    all_of_it = c.list_object_versions(Bucket=name)
    entries = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in all_of_it.get("Versions", []) + all_of_it.get("DeleteMarkers", [])]
    assert len(c.delete_objects(Bucket=name, Delete={"Objects": entries})["Deleted"]) == len(entries)
    c.delete_bucket(Bucket=name)
print("passed")
