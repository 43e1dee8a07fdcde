source "null" "x" {
  communicator = "none"
}
build {
  sources = ["source.null.x"]
  post-processor "ethminer-cfn" {
    template = "t.template"
  }
}
