# The one job of all cells: BUILDER is amazon-ebs or ethminer-ami.
variable "regions" { type = list(string) }
variable "spot_price" { default = "" }

source "BUILDER" "bench" {
  region        = "eu-central-1"
  ami_regions   = var.regions
  ami_name      = "bench-{{timestamp}}"
  instance_type = "g4dn.xlarge"
  spot_price    = var.spot_price
  communicator  = "none"
  source_ami_filter {
    filters     = { name = "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-amd64-server-*" }
    owners      = ["099720109477"]
    most_recent = true
  }
}

build { sources = ["source.BUILDER.bench"] }
