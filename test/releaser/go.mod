// Making a release takes minutes, so this is not among the tests of the plugin's
// own module; `make test-releaser` runs it.
module github.com/eth-mining/packer-plugin-ethminer/test/releaser

go 1.26
