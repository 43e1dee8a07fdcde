package ec2api

import (
	_ "github.com/gliderlabs/ssh"
	_ "github.com/go-json-experiment/json/jsontext"
	_ "github.com/pkg/sftp"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "go.yaml.in/yaml/v3"
	_ "golang.org/x/sys/unix"

	_ "github.com/aws/aws-sdk-go-v2/config"
	_ "github.com/aws/aws-sdk-go-v2/service/ec2"
	_ "github.com/aws/aws-sdk-go-v2/service/sts"
	_ "github.com/hashicorp/packer-plugin-amazon/common"
	_ "golang.org/x/crypto/ssh"
)
