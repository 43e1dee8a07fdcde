variable "ssh_port" { type = number }

source "amazon-ebs" "peer" {
  region        = "eu-central-1"
  ami_name      = "peer-{{timestamp}}"
  instance_type = "g4dn.xlarge"
  ssh_username  = "ubuntu"
  ssh_port      = var.ssh_port
  ami_regions = ["us-east-1", "us-east-2", "us-west-1", "us-west-2",
  "ap-northeast-1", "eu-west-1", "eu-west-2"]
  tags     = { Name = "peer" }
  run_tags = { Role = "builder" }
  source_ami_filter {
    filters     = { name = "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-amd64-server-*" }
    owners      = ["099720109477"]
    most_recent = true
  }
}

build {
  sources = ["source.amazon-ebs.peer"]
  provisioner "shell" {
    inline = ["sudo touch /etc/made-by-the-peer"]
  }
}
