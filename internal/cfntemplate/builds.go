// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// Build is a build that created images.
type Build struct {
	Name    string            // the build's name in Packer
	Builder string            // the type of its builder, such as ethminer-ami
	Time    int64             // seconds since 1970
	Images  map[string]string // region to AMI
}

// ArtifactImages parses the id of an artifact in the format of Packer's Amazon
// plugin: region:ami,region:ami.
func ArtifactImages(id string) (map[string]string, error) {
	images := make(map[string]string)
	for _, part := range strings.Split(id, ",") {
		region, ami, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok || !IsRegion(region) || !IsAMI(ami) {
			return nil, fmt.Errorf("%q contains no AMIs; expected region:ami,region:ami", id)
		}
		if other := images[region]; other != "" && other != ami {
			return nil, fmt.Errorf("%q contains two AMIs for %s; expected one per region", id, region)
		}
		images[region] = ami
	}
	return images, nil
}

// ParseManifest parses the file of Packer's manifest post-processor and returns the
// builds that created images, oldest first. It skips other builds. If no build has
// images, the error lists the builds of the file.
func ParseManifest(name string, src []byte) ([]Build, error) {
	var m struct {
		Builds []struct {
			Name     string `json:"name"`
			Builder  string `json:"builder_type"`
			Time     int64  `json:"build_time"`
			Artifact string `json:"artifact_id"`
		} `json:"builds"`
	}
	if err := json.Unmarshal(src, &m); err != nil {
		return nil, &Error{File: name, Msg: fmt.Sprintf("not a Packer manifest: %v", err)}
	}
	var builds []Build
	var others []string
	for _, b := range m.Builds {
		images, err := ArtifactImages(b.Artifact)
		if err != nil {
			others = append(others, fmt.Sprintf("%s (%s)", b.Name, b.Builder))
			continue
		}
		builds = append(builds, Build{b.Name, b.Builder, b.Time, images})
	}
	if len(builds) == 0 {
		has := "it has no builds"
		if len(others) > 0 {
			has = "its builds are " + strings.Join(others, ", ")
		}
		return nil, &Error{File: name, Msg: "no build of the manifest has AMIs; " + has}
	}
	sort.SliceStable(builds, func(i, j int) bool { return builds[i].Time < builds[j].Time })
	return builds, nil
}

// Newest merges the images of builds, oldest first, into one list: for each cell,
// the image of the newest build. attribute returns the attribute for an image, or
// false to skip it.
func Newest(builds []Build, attribute func(b Build, region, ami string) (string, bool)) []Image {
	cells := make(map[[2]string]string)
	for _, b := range builds {
		for region, ami := range b.Images {
			if a, ok := attribute(b, region, ami); ok {
				cells[[2]string{region, a}] = ami
			}
		}
	}
	images := make([]Image, 0, len(cells))
	for c, ami := range cells {
		images = append(images, Image{c[0], c[1], ami})
	}
	sort.Slice(images, func(i, j int) bool {
		a, b := images[i], images[j]
		return a.Region < b.Region || a.Region == b.Region && a.Attribute < b.Attribute
	})
	return images
}
