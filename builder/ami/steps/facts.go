// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

// A Fact is what one step finds or makes and later steps use. Its values are fields of
// Build, or entries of the state bag for packer-plugin-amazon's steps. What belongs to
// the build as a whole, such as the ledger, the report and the outcome, is no fact.
type Fact string

// The facts of a build. factOf in the tests lists the fields and entries of each.
const (
	Adopted        Fact = "adopted images"  // images from before this run, and what copies inherit from them
	SourceImage    Fact = "source image"    // the image to launch
	ReplacedImages Fact = "replaced images" // regions where the name is in use
	Places         Fact = "places"          // the VPC, and the subnets and zones to launch in
	Admitted       Fact = "admitted"        // the addresses that may log in
	SecurityGroups Fact = "security groups"
	Profile        Fact = "instance profile"
	UserData       Fact = "user data"
	Instance       Fact = "instance"
	Benchmark      Fact = "benchmark"
	BuildImage     Fact = "image"  // the image of the build's region, or the one to copy
	Images         Fact = "images" // the images of the artifact
	AccountImages  Fact = "images of other accounts"
	LaunchTests    Fact = "launch tests"
)

// A Step declares the facts that its Run needs and yields. A need that no earlier step
// has yielded has its zero value. Run may read what it yields.
type Step interface {
	Facts() (needs, yields []Fact)
}

func facts(list ...Fact) []Fact { return list }
