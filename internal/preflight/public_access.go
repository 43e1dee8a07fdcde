// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package preflight

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Sharing describes with whom the images and their snapshots are shared.
type Sharing struct {
	Users, Groups                 []string // of images
	OrgARNs, OUARNs               []string
	SnapshotUsers, SnapshotGroups []string
	ForCopies                     bool // other accounts copy the images
}

const everybody = "all"

func (s Sharing) publicImages() bool    { return slices.Contains(s.Groups, everybody) }
func (s Sharing) publicSnapshots() bool { return slices.Contains(s.SnapshotGroups, everybody) }

// accounts returns the account ids without duplicates.
func (s Sharing) accounts() []string {
	return distinct(append(slices.Clone(s.Users), s.SnapshotUsers...))
}

func (s Sharing) any() bool {
	return s.ForCopies || len(s.Users)+len(s.Groups)+len(s.OrgARNs)+len(s.OUARNs)+len(s.SnapshotUsers)+len(s.SnapshotGroups) > 0
}

// publicAccess checks that no region blocks public images or snapshots.
func (p *plan) publicAccess(ctx context.Context, n *notes) {
	p.inRegions(n, func(region string, n *notes) {
		client := p.cloud.EC2(region)
		if p.Sharing.publicImages() {
			out, err := client.GetImageBlockPublicAccessState(ctx, &ec2.GetImageBlockPublicAccessStateInput{}, few)
			if err != nil {
				n.gap("whether public images are blocked", "ec2:GetImageBlockPublicAccessState", err)
			} else if out.ImageBlockPublicAccessState != nil && *out.ImageBlockPublicAccessState != string(ec2types.ImageBlockPublicAccessDisabledStateUnblocked) {
				n.find(Finding{
					Attribute: "ami_groups", Value: fmt.Sprintf("got [\"all\"], but %s blocks public images (%s)", region, *out.ImageBlockPublicAccessState),
					Remedy: fmt.Sprintf("aws ec2 disable-image-block-public-access --region %s, which takes up to ten minutes, or remove \"all\"", region),
				})
			}
		}
		if p.Sharing.publicSnapshots() {
			out, err := client.GetSnapshotBlockPublicAccessState(ctx, &ec2.GetSnapshotBlockPublicAccessStateInput{}, few)
			if err != nil {
				n.gap("whether public snapshots are blocked", "ec2:GetSnapshotBlockPublicAccessState", err)
			} else if out.State != "" && out.State != ec2types.SnapshotBlockPublicAccessStateUnblocked {
				n.find(Finding{
					Attribute: "snapshot_groups", Value: fmt.Sprintf("got [\"all\"], but %s blocks public snapshots (%s)", region, out.State),
					Remedy: fmt.Sprintf("aws ec2 disable-snapshot-block-public-access --region %s, or remove \"all\"", region),
				})
			}
		}
	})
}
