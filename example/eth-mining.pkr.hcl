# Bakes an image with a benchmarked ethminer in eu-central-1, copies it to seven
# more regions, and writes the image ids into the CloudFormation template.
#
#   packer init eth-mining.pkr.hcl
#   packer build -var rehearsal=true eth-mining.pkr.hcl         # simulated, no account
#   packer build eth-mining.pkr.hcl                             # AWS, costs money

packer {
  required_version = ">= 1.12.0"
  required_plugins {
    ethminer = {
      source  = "github.com/eth-mining/ethminer"
      version = ">= 0.1.0"
    }
  }
}

variable "rehearsal" {
  type        = bool
  default     = false
  description = "Build against the AWS inside the plugin: no account, no bill."
}

variable "rehearsal_instance" {
  type        = string
  default     = "sandbox"
  description = "What a rehearsal provisions: a Linux sandbox (needs root), or none."
}

variable "miner_source" {
  type        = string
  default     = ""
  description = "A folder, a tarball or a git URL of a miner to build; empty: upstream's last commit, edited so that it builds. A rehearsal builds the reference miner."
}

variable "min_hashrate" {
  type        = string
  default     = ""
  description = "Fails the build below this rate, such as \"20 Mh/s\"; empty: only at zero."
}

locals {
  # A rehearsal must not touch the real template: it writes one of its own.
  template   = "${path.root}/eth-mining-cfn.template"
  output_dir = "${path.root}/../build/rehearsal"

  # On AWS the newest of AWS's images of Ubuntu 24.04 that have the NVIDIA driver
  # and the CUDA toolkit; in a rehearsal, which has no GPU, Canonical's plain one.
  source_image = var.rehearsal ? {
    name  = "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-amd64-server-*"
    owner = "099720109477"
    } : {
    name  = "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) *"
    owner = "amazon"
  }
}

source "ethminer-ami" "eth-mining" {
  rehearsal          = var.rehearsal
  rehearsal_state    = "${local.output_dir}/state"
  rehearsal_instance = var.rehearsal_instance

  region = "eu-central-1"
  ami_regions = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ap-northeast-1",
    "eu-west-1",
    "eu-west-2",
  ]
  ami_name = "ethminer-{{timestamp}}"

  # The miner is compiled for this type's GPU: the image mines on g4dn alone.
  instance_type = "g4dn.xlarge"

  source_ami_filter {
    filters = {
      name                = local.source_image.name
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = [local.source_image.owner]
    most_recent = true
  }
  ssh_username = "ubuntu"

  tags = {
    Name       = "ethminer"
    Source_AMI = "{{ .SourceAMI }}"
  }
}

build {
  sources = ["source.ethminer-ami.eth-mining"]

  provisioner "ethminer-gpu" {
    source             = var.rehearsal ? "${path.root}/miner" : var.miner_source
    device             = var.rehearsal ? "cpu" : "auto"
    benchmark_block    = var.rehearsal ? 1 : 11700000 # epoch 0, or 390: about Ethereum Classic's DAG today
    benchmark_warmup   = var.rehearsal ? "2s" : "30s"
    benchmark_duration = var.rehearsal ? "5s" : "60s"
    min_hashrate       = var.min_hashrate
  }

  # First and in a sequence of its own: Packer destroys the artifact when the
  # first post-processor of a sequence fails and no other has kept it.
  post-processor "manifest" {
    output = var.rehearsal ? "${local.output_dir}/manifest.json" : "${path.root}/manifest.json"
  }

  post-processor "ethminer-cfn" {
    template = local.template
    output   = var.rehearsal ? "${local.output_dir}/eth-mining-cfn.template" : local.template

    # This build has to fill every row that there is, or nothing is written.
    required_regions = ["rows"]
    stale_regions    = "fail"
  }
}
