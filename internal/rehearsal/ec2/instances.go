// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"slices"
	"strings"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/catalog"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/machines"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/network"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

// instanceT is an instance: the fields of DescribeInstances, then the internal state of
// the rehearsal.
type instanceT struct {
	Architecture  string                     `xml:"architecture"`
	Devices       query.Set[*device]         `xml:"blockDeviceMapping"`
	CapacityID    string                     `xml:"capacityReservationId,omitempty"`
	ClientToken   string                     `xml:"clientToken,omitempty"`
	EbsOptimized  bool                       `xml:"ebsOptimized"`
	EnaSupport    bool                       `xml:"enaSupport"`
	Hypervisor    string                     `xml:"hypervisor"`
	Profile       *profile                   `xml:"iamInstanceProfile"`
	Lifecycle     string                     `xml:"instanceLifecycle,omitempty"`
	Interfaces    query.Set[*nic]            `xml:"networkInterfaceSet"`
	RootName      string                     `xml:"rootDeviceName"`
	RootType      string                     `xml:"rootDeviceType"`
	Groups        query.Set[network.GroupID] `xml:"groupSet"`
	SourceDest    bool                       `xml:"sourceDestCheck"`
	SpotRequestID string                     `xml:"spotInstanceRequestId,omitempty"`
	SriovNet      string                     `xml:"sriovNetSupport,omitempty"`
	StateReason   *stateReason               `xml:"stateReason"`
	Tags          api.TagList                `xml:"tagSet"`
	VirtType      string                     `xml:"virtualizationType"`
	Cores         catalog.CPUOptions         `xml:"cpuOptions"`
	Metadata      metadataOptions            `xml:"metadataOptions"`
	Platform      string                     `xml:"platformDetails"`
	UsageOp       string                     `xml:"usageOperation"`
	InstanceID    string                     `xml:"instanceId"`
	ImageID       string                     `xml:"imageId"`
	State         state                      `xml:"instanceState"`
	PrivateDNS    string                     `xml:"privateDnsName"`
	PublicDNS     string                     `xml:"dnsName"`
	Reason        string                     `xml:"reason"`
	KeyName       string                     `xml:"keyName,omitempty"`
	LaunchIndex   int                        `xml:"amiLaunchIndex"`
	InstanceType  string                     `xml:"instanceType"`
	Launched      string                     `xml:"launchTime"`
	Placement     placement                  `xml:"placement"`
	Monitoring    monitoring                 `xml:"monitoring"`
	SubnetID      string                     `xml:"subnetId,omitempty"`
	VpcID         string                     `xml:"vpcId,omitempty"`
	PrivateIP     string                     `xml:"privateIpAddress,omitempty"`
	PublicIP      string                     `xml:"ipAddress,omitempty"`

	reservation string
	reserved    *capacityT // whose capacity it uses, or nil
	createdAt   time.Time
	address     string
	public      bool
	nic         *nic
	spotTags    api.TagList
	onShutdown  string // stop or terminate
	protected   bool   // disableApiTermination
	userData    string // base64
	layer       string
	login       string // login user
	pushed      []pushedKey
	queue       *machines.Queue
	transition  *transition

	interruption time.Time // announced end of a spot instance
	rebalance    time.Time // when a rebalance was recommended

	endedAt time.Time
	meter   *meter
}

// transition is a pending state transition. It completes when its time has passed and the
// machine has finished its job.
type transition struct {
	to  state
	at  time.Time
	job *machines.Job
}

type state struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

// Instance states with EC2's codes.
var (
	pending      = state{0, "pending"}
	running      = state{16, "running"}
	shuttingDown = state{32, "shutting-down"}
	terminated   = state{48, "terminated"}
	stopping     = state{64, "stopping"}
	stopped      = state{80, "stopped"}
)

type stateReason struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

type device struct {
	Name string    `xml:"deviceName"`
	Ebs  deviceEbs `xml:"ebs"`
}

type deviceEbs struct {
	AttachTime string `xml:"attachTime"`
	Delete     bool   `xml:"deleteOnTermination"`
	Status     string `xml:"status"`
	VolumeID   string `xml:"volumeId"`
}

type profile struct {
	Arn string `xml:"arn"`
	ID  string `xml:"id"`
}

type placement struct {
	Zone    string `xml:"availabilityZone"`
	Group   string `xml:"groupName"`
	Tenancy string `xml:"tenancy"`
}

type monitoring struct {
	State string `xml:"state"`
}

type metadataOptions struct {
	State    string `xml:"state"`
	Tokens   string `xml:"httpTokens"`
	HopLimit int    `xml:"httpPutResponseHopLimit"`
	Endpoint string `xml:"httpEndpoint"`
	IPv6     string `xml:"httpProtocolIpv6"`
	Tags     string `xml:"instanceMetadataTags"`
}

type nic struct {
	Association *association               `xml:"association"`
	Attachment  attachment                 `xml:"attachment"`
	Description string                     `xml:"description"`
	Groups      query.Set[network.GroupID] `xml:"groupSet"`
	Mac         string                     `xml:"macAddress"`
	InterfaceID string                     `xml:"networkInterfaceId"`
	OwnerID     string                     `xml:"ownerId"`
	PrivateIP   string                     `xml:"privateIpAddress"`
	Addresses   query.Set[nicIP]           `xml:"privateIpAddressesSet"`
	IPv6        query.Set[struct{}]        `xml:"ipv6AddressesSet"`
	SourceDest  bool                       `xml:"sourceDestCheck"`
	Status      string                     `xml:"status"`
	SubnetID    string                     `xml:"subnetId"`
	VpcID       string                     `xml:"vpcId"`
	Kind        string                     `xml:"interfaceType"`

	tags api.TagList
}

type association struct {
	Owner     string `xml:"ipOwnerId"`
	PublicDNS string `xml:"publicDnsName"`
	PublicIP  string `xml:"publicIp"`
}

type attachment struct {
	Time   string `xml:"attachTime"`
	ID     string `xml:"attachmentId"`
	Delete bool   `xml:"deleteOnTermination"`
	Index  int    `xml:"deviceIndex"`
	Status string `xml:"status"`
}

type nicIP struct {
	Association *association `xml:"association"`
	Primary     bool         `xml:"primary"`
	Address     string       `xml:"privateIpAddress"`
}

// terminatedRetention is how long a terminated instance remains listed.
const terminatedRetention = time.Hour

func (c *call) instance(id string) (*instanceT, error) {
	found, err := c.instancesByID([]string{id})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

func (c *call) instancesByID(ids []string) ([]*instanceT, error) {
	var found []*instanceT
	var missing []string
	for _, id := range ids {
		if !api.WellFormed(id, "i") {
			return nil, query.Errorf("InvalidInstanceID.Malformed", "Invalid id: %q", id)
		}
		if i, ok := c.r.instances.Get(id); ok && !c.IsNew(i.createdAt) {
			found = append(found, i)
			continue
		}
		missing = append(missing, id)
	}
	switch len(missing) {
	case 0:
		return found, nil
	case 1:
		return nil, query.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", missing[0])
	}
	return nil, query.Errorf("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(missing, ", "))
}

// inUse reports whether an instance is in the subnet or the security group of that id.
func (r *region) inUse(id string) bool {
	for _, i := range r.instances.All() {
		if i.SubnetID == id || slices.ContainsFunc(i.Groups.Items, func(g network.GroupID) bool { return g.ID == id }) {
			return true
		}
	}
	return false
}
