variable "mode" { default = "on" }
variable "policy" { default = "" }
variable "given" { default = "" }
variable "cfn" {
  type    = string
  default = "{\"publish\":{\"s3\":{\"bucket\":\"tpl-{{ .Region }}\"}}}"
}
locals {
  cfn = merge({ template = "t.template", output = "out.template" }, jsondecode(var.cfn))
}
source "ethminer-ami" "x" {
  region             = "eu-central-1"
  ami_regions        = ["us-east-1"]
  preflight          = var.mode
  ethminer_cfn       = jsonencode(local.cfn)
  rehearsal          = true
  rehearsal_state    = "state"
  rehearsal_instance = "none"
  rehearsal_policy   = var.policy
}
build {
  sources = ["source.ethminer-ami.x"]
  post-processor "ethminer-cfn" {
    settings = var.given != "" ? var.given : jsonencode(local.cfn)
  }
}
