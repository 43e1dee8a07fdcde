// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package ec2

import (
	"slices"
	"strconv"
	"time"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/ec2/api"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
)

type launchTemplate struct {
	TemplateID string      `xml:"launchTemplateId"`
	Name       string      `xml:"launchTemplateName"`
	Created    string      `xml:"createTime"`
	CreatedBy  string      `xml:"createdBy"`
	Default    int         `xml:"defaultVersionNumber"`
	Latest     int         `xml:"latestVersionNumber"`
	Tags       api.TagList `xml:"tagSet"`

	versions  []*templateVersion // oldest first
	createdAt time.Time
}

// templateVersion is a version of a launch template; data are parameters of RunInstances.
type templateVersion struct {
	number               int
	description, created string
	data                 query.Params
}

// addVersion adds a version with the data of a request.
func (t *launchTemplate) addVersion(c *call, data query.Params) *templateVersion {
	t.Latest++
	v := &templateVersion{t.Latest, c.Params.Get("VersionDescription"), api.Stamp(c.Now), data}
	t.versions = append(t.versions, v)
	return v
}

// version returns the version of that number, $Latest or $Default, which is the default.
func (t *launchTemplate) version(name string) (*templateVersion, error) {
	switch name {
	case "", "$Default":
		name = strconv.Itoa(t.Default)
	case "$Latest":
		name = strconv.Itoa(t.Latest)
	}
	for _, v := range t.versions {
		if strconv.Itoa(v.number) == name {
			return v, nil
		}
	}
	return nil, query.Errorf("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", name, t.TemplateID)
}

type templateResponse struct {
	Template *launchTemplate `xml:"launchTemplate"`
}

func createLaunchTemplate(c *call) (any, error) {
	ids, again, err := c.FindByToken()
	if err != nil {
		return nil, err
	}
	if again {
		if t, ok := c.r.templates.Get(ids[0]); ok {
			return templateResponse{t}, nil
		}
	}
	name := c.Params.Get("LaunchTemplateName")
	for _, t := range c.r.templates.All() {
		if t.Name == name {
			return nil, query.Errorf("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
		}
	}
	if err := c.taggable("launch-template"); err != nil {
		return nil, err
	}
	tags, err := c.TagsFor("launch-template")
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	t := &launchTemplate{
		TemplateID: c.s.ids.Next("lt"), Name: name, Created: api.Stamp(c.Now), CreatedBy: "arn:aws:iam::" + c.s.cfg.AccountID + ":user/rehearsal",
		Default: 1, Tags: tags, createdAt: c.Now,
	}
	t.addVersion(c, c.Params.Sub("LaunchTemplateData"))
	c.r.templates.Put(t.TemplateID, t)
	c.StoreToken([]string{t.TemplateID})
	return templateResponse{t}, nil
}

// taggable rejects tags of resources that an action does not tag at creation.
func (c *call) taggable(kinds ...string) error {
	for _, spec := range c.Params.Items("TagSpecification") {
		if kind := spec.Get("ResourceType"); !slices.Contains(kinds, kind) {
			return query.Errorf("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", kind)
		}
	}
	return nil
}

// template returns the launch template that a structure names by id or name.
func (c *call) template(p query.Params) (*launchTemplate, error) {
	id, name := p.Get("LaunchTemplateId"), p.Get("LaunchTemplateName")
	for _, t := range c.r.templates.All() {
		if (t.TemplateID == id || t.Name == name) && !c.IsNew(t.createdAt) {
			return t, nil
		}
	}
	if name != "" {
		return nil, query.Errorf("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", name)
	}
	return nil, query.Errorf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
}

// templateVersion returns the version that a LaunchTemplateSpecification names.
func (c *call) templateVersion(spec query.Params) (*launchTemplate, *templateVersion, error) {
	t, err := c.template(spec)
	if err != nil {
		return nil, nil, err
	}
	v, err := t.version(spec.Get("Version"))
	return t, v, err
}

// withTemplate merges the parameters of a launch over those of its launch template.
func (c *call) withTemplate(p query.Params) (query.Params, error) {
	if !p.Has("LaunchTemplate") {
		return p, nil
	}
	_, v, err := c.templateVersion(p.Sub("LaunchTemplate"))
	if err != nil {
		return nil, err
	}
	return p.Over(v.data), nil
}

type versionResponse struct {
	TemplateID  string `xml:"launchTemplateId"`
	Name        string `xml:"launchTemplateName"`
	Number      int    `xml:"versionNumber"`
	Description string `xml:"versionDescription,omitempty"`
	Created     string `xml:"createTime"`
	CreatedBy   string `xml:"createdBy"`
	Default     bool   `xml:"defaultVersion"`
	Data        struct {
		ImageID  string `xml:"imageId,omitempty"`
		Type     string `xml:"instanceType,omitempty"`
		KeyName  string `xml:"keyName,omitempty"`
		UserData string `xml:"userData,omitempty"`
	} `xml:"launchTemplateData"` // the fields that a client reads
}

func (t *launchTemplate) response(v *templateVersion) versionResponse {
	out := versionResponse{TemplateID: t.TemplateID, Name: t.Name, Number: v.number, Description: v.description, Created: v.created, CreatedBy: t.CreatedBy, Default: v.number == t.Default}
	out.Data.ImageID, out.Data.Type = v.data.Get("ImageId"), v.data.Get("InstanceType")
	out.Data.KeyName, out.Data.UserData = v.data.Get("KeyName"), v.data.Get("UserData")
	return out
}

func createLaunchTemplateVersion(c *call) (any, error) {
	t, err := c.template(c.Params)
	if err != nil {
		return nil, err
	}
	data := c.Params.Sub("LaunchTemplateData")
	if source := c.Params.Get("SourceVersion"); source != "" {
		from, err := t.version(source)
		if err != nil {
			return nil, err
		}
		data = data.Over(from.data)
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	return struct {
		Version versionResponse `xml:"launchTemplateVersion"`
	}{t.response(t.addVersion(c, data))}, nil
}

func describeLaunchTemplateVersions(c *call) (any, error) {
	t, err := c.template(c.Params)
	if err != nil {
		return nil, err
	}
	var found []versionResponse
	for _, name := range c.Params.List("LaunchTemplateVersion") {
		v, err := t.version(name)
		if err != nil {
			return nil, err
		}
		found = append(found, t.response(v))
	}
	if !c.Params.Has("LaunchTemplateVersion") {
		for _, v := range slices.Backward(t.versions) { // newest first, as EC2 does
			found = append(found, t.response(v))
		}
	}
	set, next, err := api.Page(c.Request, found, 1)
	return struct {
		Versions query.Set[versionResponse] `xml:"launchTemplateVersionSet"`
		Next     string                     `xml:"nextToken,omitempty"`
	}{set, next}, err
}

// modifyLaunchTemplate sets the default version.
func modifyLaunchTemplate(c *call) (any, error) {
	t, err := c.template(c.Params)
	if err != nil {
		return nil, err
	}
	v, err := t.version(c.Params.Get("SetDefaultVersion"))
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	t.Default = v.number
	return templateResponse{t}, nil
}

func deleteLaunchTemplate(c *call) (any, error) {
	t, err := c.template(c.Params)
	if err != nil {
		return nil, err
	}
	if err := c.Commit(); err != nil {
		return nil, err
	}
	c.r.templates.Remove(t.TemplateID)
	return templateResponse{t}, nil
}

func describeLaunchTemplates(c *call) (any, error) {
	ids, names := c.Params.List("LaunchTemplateId"), c.Params.List("LaunchTemplateName")
	for _, id := range ids {
		if _, err := c.template(query.Params{"LaunchTemplateId": id}); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if _, err := c.template(query.Params{"LaunchTemplateName": name}); err != nil {
			return nil, err
		}
	}
	var found []*launchTemplate
	for _, t := range c.r.templates.All() {
		ok, err := c.Matches(t.Tags, func(name string) ([]string, bool) {
			value, ok := map[string]string{"launch-template-name": t.Name, "create-time": t.Created}[name]
			return []string{value}, ok
		})
		if err != nil {
			return nil, err
		}
		if ok && !c.IsNew(t.createdAt) && api.Contains(ids, t.TemplateID) && api.Contains(names, t.Name) {
			found = append(found, t)
		}
	}
	set, next, err := api.Page(c.Request, found, 1)
	return struct {
		Templates query.Set[*launchTemplate] `xml:"launchTemplates"`
		Next      string                     `xml:"nextToken,omitempty"`
	}{set, next}, err
}
