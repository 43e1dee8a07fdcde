#!/bin/sh
# The judge of publishing: the AWS CLI, in the rehearsal of the folder state.
set -eu
[ "$1" = policy ] || eval "$(packer-plugin-ethminer rehearsal-aws env --state state)"
bucket() { aws s3api create-bucket --bucket "$1" --region "$2" --create-bucket-configuration LocationConstraint="$2"; }
case $1 in
buckets)
	aws s3api create-bucket --bucket tpl-us-east-1 --region us-east-1
	bucket tpl-eu-central-1 eu-central-1
	bucket swapped-us-east-1 eu-central-1
	bucket swapped-eu-central-1 eu-central-1
	;;
objects)
	aws s3 ls --recursive --region us-east-1 s3://tpl-us-east-1 || true
	aws s3 ls --recursive --region eu-central-1 s3://tpl-eu-central-1 || true
	;;
parameter) aws ssm put-parameter --region us-east-1 --name /text/ami --type String --value none ;;
policy) python3 -c '
import json, re
text = re.sub(r"(?m)^==> [^:]*: ?", "", open("only.txt").read())
policy, _ = json.JSONDecoder().raw_decode(text, text.index("{\n"))
policy["Statement"].append({"Effect": "Allow", "Action": "s3:CreateBucket", "Resource": "*"})
json.dump(policy, open("policy.json", "w"))' ;;
operation)
	aws cloudformation create-stack-set --region eu-central-1 --stack-set-name mining --template-body file://t.template
	aws cloudformation create-stack-instances --region eu-central-1 --stack-set-name mining --accounts 111122223333 --regions us-east-1
	;;
esac
