// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

// action is one verb of the API.
type action struct {
	run   func(*call) (any, error)
	needs []string // parameters without which EC2 answers MissingParameter
}

// actions are the verbs that are understood; every other one answers
// InvalidAction.
var actions = map[string]action{
	"DescribeRegions":           {run: describeRegions},
	"DescribeAvailabilityZones": {run: describeAvailabilityZones},
	"DescribeAccountAttributes": {run: describeAccountAttributes},

	"DescribeVpcs":         {run: describeVpcs},
	"DescribeVpcAttribute": {run: describeVpcAttribute, needs: []string{"VpcId", "Attribute"}},
	"DescribeSubnets":      {run: describeSubnets},
	"DescribeRouteTables":  {run: describeRouteTables},

	"CreateTags":   {run: createTags, needs: []string{"ResourceId", "Tag"}},
	"DeleteTags":   {run: deleteTags, needs: []string{"ResourceId"}},
	"DescribeTags": {run: describeTags},

	"CreateKeyPair":    {run: createKeyPair, needs: []string{"KeyName"}},
	"ImportKeyPair":    {run: importKeyPair, needs: []string{"KeyName", "PublicKeyMaterial"}},
	"DescribeKeyPairs": {run: describeKeyPairs},
	"DeleteKeyPair":    {run: deleteKeyPair},

	"CreateSecurityGroup":           {run: createSecurityGroup, needs: []string{"GroupName", "GroupDescription"}},
	"DescribeSecurityGroups":        {run: describeSecurityGroups},
	"DescribeSecurityGroupRules":    {run: describeSecurityGroupRules},
	"AuthorizeSecurityGroupIngress": {run: authorizeIngress},
	"AuthorizeSecurityGroupEgress":  {run: authorizeEgress, needs: []string{"GroupId"}},
	"RevokeSecurityGroupIngress":    {run: revokeIngress},
	"RevokeSecurityGroupEgress":     {run: revokeEgress, needs: []string{"GroupId"}},
	"DeleteSecurityGroup":           {run: deleteSecurityGroup},

	"DescribeInstanceTypes":         {run: describeInstanceTypes},
	"DescribeInstanceTypeOfferings": {run: describeInstanceTypeOfferings},
	"DescribeSpotPriceHistory":      {run: describeSpotPriceHistory},

	"CreateCapacityReservation":    {run: createCapacityReservation, needs: []string{"InstanceType", "InstancePlatform", "AvailabilityZone", "InstanceCount"}},
	"DescribeCapacityReservations": {run: describeCapacityReservations},
	"CancelCapacityReservation":    {run: cancelCapacityReservation, needs: []string{"CapacityReservationId"}},

	"RunInstances":                  {run: runInstances, needs: []string{"MinCount", "MaxCount"}},
	"DescribeInstances":             {run: describeInstances},
	"DescribeInstanceStatus":        {run: describeInstanceStatus},
	"DescribeInstanceAttribute":     {run: describeInstanceAttribute, needs: []string{"InstanceId", "Attribute"}},
	"ModifyInstanceAttribute":       {run: modifyInstanceAttribute, needs: []string{"InstanceId"}},
	"ModifyInstanceMetadataOptions": {run: modifyInstanceMetadataOptions, needs: []string{"InstanceId"}},
	"StartInstances":                {run: startInstances, needs: []string{"InstanceId"}},
	"StopInstances":                 {run: stopInstances, needs: []string{"InstanceId"}},
	"RebootInstances":               {run: rebootInstances, needs: []string{"InstanceId"}},
	"TerminateInstances":            {run: terminateInstances, needs: []string{"InstanceId"}},
	"GetConsoleOutput":              {run: getConsoleOutput, needs: []string{"InstanceId"}},
	"CreateLaunchTemplate":          {run: createLaunchTemplate, needs: []string{"LaunchTemplateName", "LaunchTemplateData"}},
	"DescribeLaunchTemplates":       {run: describeLaunchTemplates},
	"DeleteLaunchTemplate":          {run: deleteLaunchTemplate},
	"CreateFleet":                   {run: createFleet, needs: []string{"LaunchTemplateConfigs", "TargetCapacitySpecification"}},
	"DeleteFleets":                  {run: deleteFleets, needs: []string{"FleetId"}},
	"DescribeSpotInstanceRequests":  {run: describeSpotInstanceRequests},

	"GetEbsEncryptionByDefault":     {run: getEncryption},
	"EnableEbsEncryptionByDefault":  {run: enableEncryption},
	"DisableEbsEncryptionByDefault": {run: disableEncryption},
	"GetEbsDefaultKmsKeyId":         {run: getDefaultKey},
	"ModifyEbsDefaultKmsKeyId":      {run: modifyDefaultKey, needs: []string{"KmsKeyId"}},
	"ResetEbsDefaultKmsKeyId":       {run: resetDefaultKey},

	"CreateVolume":              {run: createVolume},
	"DescribeVolumes":           {run: describeVolumes},
	"DeleteVolume":              {run: deleteVolume, needs: []string{"VolumeId"}},
	"AttachVolume":              {run: attachVolume, needs: []string{"VolumeId", "InstanceId", "Device"}},
	"DetachVolume":              {run: detachVolume, needs: []string{"VolumeId"}},
	"CreateSnapshot":            {run: createSnapshot, needs: []string{"VolumeId"}},
	"CopySnapshot":              {run: copySnapshot, needs: []string{"SourceRegion", "SourceSnapshotId"}},
	"DescribeSnapshots":         {run: describeSnapshots},
	"DeleteSnapshot":            {run: deleteSnapshot, needs: []string{"SnapshotId"}},
	"ModifySnapshotAttribute":   {run: modifySnapshotAttribute, needs: []string{"SnapshotId"}},
	"DescribeSnapshotAttribute": {run: describeSnapshotAttribute, needs: []string{"SnapshotId", "Attribute"}},

	"CreateImage":                          {run: createImage, needs: []string{"InstanceId", "Name"}},
	"RegisterImage":                        {run: registerImage, needs: []string{"Name"}},
	"CopyImage":                            {run: copyImage, needs: []string{"SourceRegion", "SourceImageId", "Name"}},
	"DescribeImages":                       {run: describeImages},
	"DeregisterImage":                      {run: deregisterImage, needs: []string{"ImageId"}},
	"ModifyImageAttribute":                 {run: modifyImageAttribute, needs: []string{"ImageId"}},
	"ResetImageAttribute":                  {run: resetImageAttribute, needs: []string{"ImageId", "Attribute"}},
	"DescribeImageReferences":              {run: describeImageReferences, needs: []string{"ImageId"}},
	"DescribeImageAttribute":               {run: describeImageAttribute, needs: []string{"ImageId", "Attribute"}},
	"EnableImageDeprecation":               {run: enableImageDeprecation, needs: []string{"ImageId", "DeprecateAt"}},
	"DisableImageDeprecation":              {run: disableImageDeprecation, needs: []string{"ImageId"}},
	"EnableImageDeregistrationProtection":  {run: enableImageProtection, needs: []string{"ImageId"}},
	"DisableImageDeregistrationProtection": {run: disableImageProtection, needs: []string{"ImageId"}},
	"GetImageBlockPublicAccessState":       {run: getImageBlocking},
	"EnableImageBlockPublicAccess":         {run: enableImageBlocking, needs: []string{"ImageBlockPublicAccessState"}},
	"DisableImageBlockPublicAccess":        {run: disableImageBlocking},
	"GetSnapshotBlockPublicAccessState":    {run: getSnapshotBlocking},
	"EnableSnapshotBlockPublicAccess":      {run: enableSnapshotBlocking, needs: []string{"State"}},
	"DisableSnapshotBlockPublicAccess":     {run: disableSnapshotBlocking},
	"EnableImage":                          {run: enableImage, needs: []string{"ImageId"}},
	"DisableImage":                         {run: disableImage, needs: []string{"ImageId"}},
}
