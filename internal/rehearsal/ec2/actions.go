// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import "github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/network"

// action is one action of the API.
type action struct {
	run      func(*call) (any, error)
	required []string // required parameters; EC2 returns MissingParameter without one
}

// actionNamed returns a supported action; EC2 returns InvalidAction for every other one.
func actionNamed(name string) (action, bool) {
	if a, ok := network.Actions[name]; ok {
		return action{run: func(c *call) (any, error) { return a.Run(&c.Call) }, required: a.Required}, true
	}
	a, ok := actions[name]
	return a, ok
}

// actions lists the actions of this package.
var actions = map[string]action{
	"DescribeRegions":           {run: describeRegions},
	"DescribeAvailabilityZones": {run: describeAvailabilityZones},
	"DescribeAccountAttributes": {run: describeAccountAttributes},

	"CreateTags":   {run: createTags, required: []string{"ResourceId", "Tag"}},
	"DeleteTags":   {run: deleteTags, required: []string{"ResourceId"}},
	"DescribeTags": {run: describeTags},

	"DescribeInstanceTypes":         {run: describeInstanceTypes},
	"DescribeInstanceTypeOfferings": {run: describeInstanceTypeOfferings},
	"DescribeSpotPriceHistory":      {run: describeSpotPriceHistory},

	"CreateCapacityReservation":      {run: createCapacityReservation, required: []string{"InstanceType", "InstancePlatform", "AvailabilityZone", "InstanceCount"}},
	"DescribeCapacityReservations":   {run: describeCapacityReservations},
	"DescribeCapacityBlockOfferings": {run: describeOfferings, required: []string{"CapacityDurationHours"}},
	"PurchaseCapacityBlock":          {run: purchaseBlock, required: []string{"CapacityBlockOfferingId", "InstancePlatform"}},
	"CancelCapacityReservation":      {run: cancelCapacityReservation, required: []string{"CapacityReservationId"}},

	"RunInstances":                   {run: runInstances, required: []string{"MinCount", "MaxCount"}},
	"DescribeInstances":              {run: describeInstances},
	"DescribeInstanceStatus":         {run: describeInstanceStatus},
	"DescribeInstanceAttribute":      {run: describeInstanceAttribute, required: []string{"InstanceId", "Attribute"}},
	"ModifyInstanceAttribute":        {run: modifyInstanceAttribute, required: []string{"InstanceId"}},
	"ModifyInstanceMetadataOptions":  {run: modifyInstanceMetadataOptions, required: []string{"InstanceId"}},
	"StartInstances":                 {run: startInstances, required: []string{"InstanceId"}},
	"StopInstances":                  {run: stopInstances, required: []string{"InstanceId"}},
	"RebootInstances":                {run: rebootInstances, required: []string{"InstanceId"}},
	"TerminateInstances":             {run: terminateInstances, required: []string{"InstanceId"}},
	"GetConsoleOutput":               {run: getConsoleOutput, required: []string{"InstanceId"}},
	"CreateLaunchTemplate":           {run: createLaunchTemplate, required: []string{"LaunchTemplateName", "LaunchTemplateData"}},
	"CreateLaunchTemplateVersion":    {run: createLaunchTemplateVersion, required: []string{"LaunchTemplateData"}},
	"DescribeLaunchTemplates":        {run: describeLaunchTemplates},
	"DescribeLaunchTemplateVersions": {run: describeLaunchTemplateVersions},
	"ModifyLaunchTemplate":           {run: modifyLaunchTemplate, required: []string{"SetDefaultVersion"}},
	"DeleteLaunchTemplate":           {run: deleteLaunchTemplate},
	"CreateFleet":                    {run: createFleet, required: []string{"LaunchTemplateConfigs", "TargetCapacitySpecification"}},
	"DeleteFleets":                   {run: deleteFleets, required: []string{"FleetId"}},
	"DescribeSpotInstanceRequests":   {run: describeSpotInstanceRequests},

	"GetEbsEncryptionByDefault":     {run: getEncryption},
	"EnableEbsEncryptionByDefault":  {run: enableEncryption},
	"DisableEbsEncryptionByDefault": {run: disableEncryption},
	"GetEbsDefaultKmsKeyId":         {run: getDefaultKey},
	"ModifyEbsDefaultKmsKeyId":      {run: modifyDefaultKey, required: []string{"KmsKeyId"}},
	"ResetEbsDefaultKmsKeyId":       {run: resetDefaultKey},

	"CreateVolume":              {run: createVolume},
	"DescribeVolumes":           {run: describeVolumes},
	"DeleteVolume":              {run: deleteVolume, required: []string{"VolumeId"}},
	"AttachVolume":              {run: attachVolume, required: []string{"VolumeId", "InstanceId", "Device"}},
	"DetachVolume":              {run: detachVolume, required: []string{"VolumeId"}},
	"CreateSnapshot":            {run: createSnapshot, required: []string{"VolumeId"}},
	"CopySnapshot":              {run: copySnapshot, required: []string{"SourceRegion", "SourceSnapshotId"}},
	"DescribeSnapshots":         {run: describeSnapshots},
	"DeleteSnapshot":            {run: deleteSnapshot, required: []string{"SnapshotId"}},
	"ModifySnapshotAttribute":   {run: modifySnapshotAttribute, required: []string{"SnapshotId"}},
	"DescribeSnapshotAttribute": {run: describeSnapshotAttribute, required: []string{"SnapshotId", "Attribute"}},

	"CreateImage":                          {run: createImage, required: []string{"InstanceId", "Name"}},
	"RegisterImage":                        {run: registerImage, required: []string{"Name"}},
	"CopyImage":                            {run: copyImage, required: []string{"SourceRegion", "SourceImageId", "Name"}},
	"DescribeImages":                       {run: describeImages},
	"DeregisterImage":                      {run: deregisterImage, required: []string{"ImageId"}},
	"ModifyImageAttribute":                 {run: modifyImageAttribute, required: []string{"ImageId"}},
	"ResetImageAttribute":                  {run: resetImageAttribute, required: []string{"ImageId", "Attribute"}},
	"DescribeImageReferences":              {run: describeImageReferences, required: []string{"ImageId"}},
	"DescribeImageAttribute":               {run: describeImageAttribute, required: []string{"ImageId", "Attribute"}},
	"EnableImageDeprecation":               {run: enableImageDeprecation, required: []string{"ImageId", "DeprecateAt"}},
	"DisableImageDeprecation":              {run: disableImageDeprecation, required: []string{"ImageId"}},
	"EnableImageDeregistrationProtection":  {run: enableImageProtection, required: []string{"ImageId"}},
	"DisableImageDeregistrationProtection": {run: disableImageProtection, required: []string{"ImageId"}},
	"GetImageBlockPublicAccessState":       {run: getImageBlocking},
	"EnableImageBlockPublicAccess":         {run: enableImageBlocking, required: []string{"ImageBlockPublicAccessState"}},
	"DisableImageBlockPublicAccess":        {run: disableImageBlocking},
	"GetSnapshotBlockPublicAccessState":    {run: getSnapshotBlocking},
	"EnableSnapshotBlockPublicAccess":      {run: enableSnapshotBlocking, required: []string{"State"}},
	"DisableSnapshotBlockPublicAccess":     {run: disableSnapshotBlocking},
	"EnableImage":                          {run: enableImage, required: []string{"ImageId"}},
	"DisableImage":                         {run: disableImage, required: []string{"ImageId"}},
}
