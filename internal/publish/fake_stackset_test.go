// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package publish_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// fakeSet is a stack set in memory, whose operations take some looks, run one at
// a time, and can fail in a region.
type fakeSet struct {
	template   string
	parameters map[string]string
	instances  []*fakeInstance
	operations []*fakeOperation
	bad        string // operations fail there
	reason     string // and why
	onlyNew    bool   // and only with the newest template
	marksAll   bool   // every update makes all instances OUTDATED
	takes      int    // looks
}

type fakeInstance struct{ account, region, status, unit string }

type fakeOperation struct {
	id, action, status string
	left               int
	targets            []*fakeInstance
}

// list reads Name.member.1, Name.member.2, ...
func list(form url.Values, name string) (all []string) {
	for i := 1; form.Has(fmt.Sprintf("%s.member.%d", name, i)); i++ {
		all = append(all, form.Get(fmt.Sprintf("%s.member.%d", name, i)))
	}
	return all
}

func (f *fake) cloudformation(r *http.Request, body []byte) *http.Response {
	form, _ := url.ParseQuery(string(body))
	action := form.Get("Action")
	result := func(text string) *http.Response {
		return answer(r, 200, nil, []byte(fmt.Sprintf("<%sResponse><%sResult>%s</%sResult></%sResponse>", action, action, text, action, action)))
	}
	refused := func(code string) *http.Response {
		return refuse(r, 400, code, "the fake says so")
	}
	s := f.set
	template := func() string {
		u, _ := url.Parse(form.Get("TemplateURL"))
		bucket, _, _ := strings.Cut(u.Host, ".")
		return string(f.objects[bucket+u.Path].body)
	}
	if action == "ValidateTemplate" {
		if template() == "" {
			return refused("ValidationError")
		}
		out := ""
		if strings.Contains(template(), "Parameters:") {
			out = "<Parameters><member><ParameterKey>Wallet</ParameterKey></member></Parameters>"
		}
		return result(out)
	}
	if action == "CreateStackSet" {
		f.set = &fakeSet{template: template(), parameters: map[string]string{}, takes: f.operationTakes}
		f.set.take(form)
		return result("<StackSetId>x</StackSetId>")
	}
	if s == nil {
		return refused("StackSetNotFoundException")
	}
	if n := len(s.operations); n > 0 && s.operations[n-1].status == "RUNNING" {
		if o := s.operations[n-1]; o.left > 0 {
			o.left--
		} else {
			s.finish(o)
		}
	}
	busy := len(s.operations) > 0 && s.operations[len(s.operations)-1].status == "RUNNING"
	switch action {
	case "DescribeStackSet":
		var parameters strings.Builder
		for k, v := range s.parameters {
			fmt.Fprintf(&parameters, "<member><ParameterKey>%s</ParameterKey><ParameterValue>%s</ParameterValue></member>", k, v)
		}
		return result("<StackSet><StackSetName>mining</StackSetName><Status>ACTIVE</Status><TemplateBody>" + strings.ReplaceAll(s.template, "&", "&amp;") + "</TemplateBody><Parameters>" + parameters.String() + "</Parameters></StackSet>")
	case "ListStackInstances":
		out := ""
		instances, next := page(s.instances, form)
		for _, i := range instances {
			out += fmt.Sprintf("<member><Account>%s</Account><Region>%s</Region><Status>%s</Status>", i.account, i.region, i.status)
			if i.unit != "" {
				out += "<OrganizationalUnitId>" + i.unit + "</OrganizationalUnitId>"
			}
			out += "</member>"
		}
		return result("<Summaries>" + out + "</Summaries>" + next)
	case "ListStackSetOperations":
		out := ""
		for _, o := range slices.Backward(s.operations) {
			out += fmt.Sprintf("<member><OperationId>%s</OperationId><Action>%s</Action><Status>%s</Status></member>", o.id, o.action, o.status)
		}
		return result("<Summaries>" + out + "</Summaries>")
	}
	i := slices.IndexFunc(s.operations, func(o *fakeOperation) bool { return o.id == form.Get("OperationId") })
	switch action {
	case "DescribeStackSetOperation":
		return result("<StackSetOperation><OperationId>" + s.operations[i].id + "</OperationId><Status>" + s.operations[i].status + "</Status></StackSetOperation>")
	case "ListStackSetOperationResults":
		out := ""
		targets, next := page(s.operations[i].targets, form)
		for _, t := range targets {
			status, reason := "SUCCEEDED", ""
			if t.status != "CURRENT" {
				status, reason = "FAILED", s.reason
			}
			out += fmt.Sprintf("<member><Account>%s</Account><Region>%s</Region><Status>%s</Status><StatusReason>%s</StatusReason></member>", t.account, t.region, status, reason)
		}
		return result("<Summaries>" + out + "</Summaries>" + next)
	}
	if busy {
		return refused("OperationInProgressException")
	}
	o := &fakeOperation{id: form.Get("OperationId"), action: "UPDATE", status: "RUNNING", left: s.takes}
	accounts, regions := list(form, "Accounts"), list(form, "Regions")
	units := list(form, "DeploymentTargets.OrganizationalUnitIds")
	member := map[string]string{} // account: its unit, each of which has one
	for _, u := range units {
		member["account-of-"+u] = u
		accounts = append(accounts, "account-of-"+u)
	}
	if action == "CreateStackInstances" {
		o.action = "CREATE"
		for _, region := range regions {
			for _, account := range accounts {
				n := &fakeInstance{account, region, "OUTDATED", member[account]}
				s.instances, o.targets = append(s.instances, n), append(o.targets, n)
			}
		}
	} else {
		if form.Has("TemplateURL") {
			s.template = template()
		}
		if form.Has("TemplateURL") || s.marksAll {
			for _, i := range s.instances {
				i.status = "OUTDATED"
			}
		}
		s.take(form)
		for _, i := range s.instances {
			if len(regions) == 0 || slices.Contains(regions, i.region) && slices.Contains(accounts, i.account) {
				i.status = "OUTDATED"
				o.targets = append(o.targets, i)
			}
		}
	}
	s.operations = append(s.operations, o)
	return result("<OperationId>" + o.id + "</OperationId>")
}

// take takes the parameters of a request.
func (s *fakeSet) take(form url.Values) {
	for n := 1; form.Has(fmt.Sprintf("Parameters.member.%d.ParameterKey", n)); n++ {
		if at := fmt.Sprintf("Parameters.member.%d.", n); form.Get(at+"UsePreviousValue") != "true" {
			s.parameters[form.Get(at+"ParameterKey")] = form.Get(at + "ParameterValue")
		}
	}
}

// finish ends an operation as it is to end.
func (s *fakeSet) finish(o *fakeOperation) {
	o.status = "SUCCEEDED"
	for _, t := range o.targets {
		if t.region == s.bad && (!s.onlyNew || strings.Contains(s.template, "number 2")) {
			o.status = "FAILED"
			continue
		}
		t.status = "CURRENT"
	}
}

// page is a part of a list, of a hundred, and the token of the next one.
func page(all []*fakeInstance, form url.Values) ([]*fakeInstance, string) {
	from, _ := strconv.Atoi(form.Get("NextToken"))
	to := min(from+100, len(all))
	if to == len(all) {
		return all[from:], ""
	}
	return all[from:to], fmt.Sprintf("<NextToken>%d</NextToken>", to)
}
