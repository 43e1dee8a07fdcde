# What HashiCorp's integrations site reads: https://github.com/hashicorp/integration-template#metadata-configuration
# README.md and components/ beside this file come from docs/ by `make generate`.
integration {
  name        = "ethminer"
  description = "Bakes GPU mining images for AWS, proves them with a benchmark, distributes them to many regions and writes their ids into a CloudFormation template."
  identifier  = "packer/eth-mining/ethminer"
  flags       = ["hcp-ready"]
  docs {
    process_docs    = true
    readme_location = "./README.md"
    external_url    = "https://github.com/eth-mining/packer-plugin-ethminer"
  }
  license {
    type = "MPL-2.0"
    url  = "https://github.com/eth-mining/packer-plugin-ethminer/blob/main/LICENSE"
  }
  component {
    type = "builder"
    name = "ethminer AMI"
    slug = "ami"
  }
  component {
    type = "provisioner"
    name = "ethminer GPU"
    slug = "gpu"
  }
  component {
    type = "post-processor"
    name = "ethminer CloudFormation"
    slug = "cfn"
  }
  component {
    type = "post-processor"
    name = "ethminer report"
    slug = "report"
  }
  component {
    type = "data-source"
    name = "ethminer instance types"
    slug = "instance"
  }
}
