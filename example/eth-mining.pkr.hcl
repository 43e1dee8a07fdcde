# Bakes an image with a benchmarked ethminer in eu-central-1, copies it to seven
# more regions, and writes the image ids into the CloudFormation template.
#
#   packer build -var rehearsal=true eth-mining.pkr.hcl         # simulated, no account
#   packer build eth-mining.pkr.hcl                             # AWS, costs money
#
# Install the plugin first: with `make dev` until the first release, and with
# `packer init eth-mining.pkr.hcl` from then on.

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
  description = "Build against the AWS that the plugin simulates: no account, no charges."
}

variable "rehearsal_instance" {
  type        = string
  default     = "sandbox"
  description = "Kind of instance in a rehearsal: sandbox (a Linux sandbox, requires root), or none."
}

variable "miner_source" {
  type        = string
  default     = ""
  description = "Miner source: a folder, a tarball or a git URL. Empty: upstream's last commit, patched for current compilers. A rehearsal builds the reference miner."
}

variable "min_hashrate" {
  type        = string
  default     = ""
  description = "Minimum hash rate of the build, such as \"20 Mh/s\". Empty: no minimum; a GPU that does not mine still fails the build."
}

locals {
  template   = "${path.root}/eth-mining-cfn.template"
  output_dir = "${path.root}/../build/rehearsal"

  # The builder checks this before it launches anything, ethminer-cfn uses it.
  cfn = {
    template = local.template
    # A rehearsal writes a separate file and leaves the real template unchanged.
    output = var.rehearsal ? "${local.output_dir}/eth-mining-cfn.template" : local.template

    # The benchmark sets the weights of the instance types.
    weights = "InstanceTypes"

    # Write the template only if this build updates every existing row.
    required_regions = ["rows"]
    stale_regions    = "fail"
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

  # The miner is compiled for the GPU of this type: the image mines on g4dn only.
  instance_type = "g4dn.xlarge"

  # Ubuntu with the NVIDIA driver and the CUDA toolkit, by AWS.
  source_ami_filter {
    filters = {
      name                = "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) *"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["amazon"]
    most_recent = true
  }
  ssh_username = "ubuntu"

  ethminer_cfn = jsonencode(local.cfn)

  tags = {
    Name       = "ethminer"
    Source_AMI = "{{ .SourceAMI }}"
  }

  # Launches an instance of the image while it is copied. No region gets an image that
  # does not boot and mine.
  launch_test {
    uptime = var.rehearsal ? "3s" : null
  }
}

build {
  sources = ["source.ethminer-ami.eth-mining"]

  provisioner "ethminer-gpu" {
    source = var.rehearsal ? "${path.root}/miner" : var.miner_source
    device = var.rehearsal ? "cpu" : "auto" # a rehearsal has no GPU
    # Ethereum Classic: the provisioner patches upstream ethminer for it.
    coin = "etc"
    # A rehearsal runs a short benchmark with the small DAG of epoch 0. On AWS, the
    # DAG has about the current size.
    benchmark_block    = var.rehearsal ? 1 : null
    benchmark_warmup   = var.rehearsal ? "2s" : null
    benchmark_duration = var.rehearsal ? "5s" : null
    min_hashrate       = var.min_hashrate
  }

  # First and in a separate sequence: Packer destroys the artifact if the first
  # post-processor of a sequence fails and no other has kept it.
  post-processor "manifest" {
    output = var.rehearsal ? "${local.output_dir}/manifest.json" : "${path.root}/manifest.json"
  }

  post-processors {
    post-processor "ethminer-cfn" { settings = jsonencode(local.cfn) }

    # One page with the images, the benchmark, the timeline and the template's change.
    post-processor "ethminer-report" {
      output = var.rehearsal ? "${local.output_dir}/report.html" : "${path.root}/report.html"
    }
  }
}
