// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package cfntemplate

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// Build is one build that made images.
type Build struct {
	Name    string            // of the build in its Packer template
	Builder string            // its builder's type, such as ethminer-ami
	Time    int64             // seconds since 1970
	Images  map[string]string // region to AMI
}

// ArtifactImages reads the id of an artifact of images, as the builders of
// Packer's Amazon plugin write it: region:ami,region:ami.
func ArtifactImages(id string) (map[string]string, error) {
	images := make(map[string]string)
	for _, part := range strings.Split(id, ",") {
		region, ami, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok || !IsRegion(region) || !IsAMI(ami) {
			return nil, fmt.Errorf("%q holds no AMIs; expected region:ami,region:ami", id)
		}
		if other := images[region]; other != "" && other != ami {
			return nil, fmt.Errorf("%q holds two AMIs of %s; expected one a region", id, region)
		}
		images[region] = ami
	}
	return images, nil
}

// ParseManifest reads the file of Packer's post-processor manifest: its builds
// that made images, the oldest first. Other builds are left out; that there is
// none with images is an error, which names the builders that there are.
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
		return nil, &Error{File: name, Msg: fmt.Sprintf("not a manifest of Packer: %v", err)}
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

// Newest puts the images of builds, oldest first, into one list: for each cell
// that of the latest build. attribute says where a build's image belongs, or
// false to leave it out.
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
