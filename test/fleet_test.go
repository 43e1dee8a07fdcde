// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

//go:build unix

package test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/instance"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/pool"
)

// fleet is what the instances of the template's fleet reach outside of EC2: a pool, the
// rehearsal's AWS, and a stand-in for CloudFormation and Auto Scaling.
type fleet struct {
	session *rehearsal.Session
	pool    *pool.Pool
	standIn *httptest.Server

	mu       sync.Mutex
	requests []url.Values
}

// sent returns the requests of an action to the stand-in.
func (f *fleet) sent(action string) (list []url.Values) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if r.Get("Action") == action {
			list = append(list, r)
		}
	}
	return list
}

func startFleet(t *testing.T, session *rehearsal.Session) *fleet {
	t.Helper()
	f := &fleet{session: session}
	var err error
	if f.pool, err = pool.Start(pool.Config{Difficulty: 1000}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.pool.Close)
	f.standIn = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // an empty form
		f.mu.Lock()
		f.requests = append(f.requests, r.PostForm)
		f.mu.Unlock()
	}))
	t.Cleanup(f.standIn.Close)
	return f
}

// atGateway returns the address at which an instance reaches an address of loopback.
func atGateway(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(instance.Gateway, port)
}

func (f *fleet) userData(t *testing.T) string {
	t.Helper()
	return templateUserData(t, map[string]string{
		"Coin": "custom", "Pools": "stratum1+tcp://" + atGateway(t, f.pool.Addr()), "Wallet": "0xabc", "WorkerPrefix": "w-", "Secrets": "",
		"MinerArgs": "--cpu -t 1 --display-interval 1", "AWS::StackName": "mining",
	}, `AWS_ENDPOINT_URL="http://`+atGateway(t, f.session.Endpoint)+`"`, `AWS_ENDPOINT_URL_CLOUDFORMATION="http://`+atGateway(t, f.standIn.URL)+`"`, `AWS_ENDPOINT_URL_AUTO_SCALING="http://`+atGateway(t, f.standIn.URL)+`"`)
}

// check compares what an instance has reported.
func (f *fleet) check(t *testing.T, m minerInstance) {
	t.Helper()
	if mode := m.run(t, "sudo stat -c %a /etc/ethminer/fleet.conf /etc/ethminer/ethminer.conf"); mode != "600\n600" {
		t.Errorf("got modes %q of the configuration", mode)
	}
	if users, want := f.pool.Users(), "0xabc.w-"+strings.TrimPrefix(m.id, "i-"); len(users) == 0 || users[0] != want {
		t.Errorf("got workers %q at the pool, want %s", users, want)
	}
	awaitReport(t, "a signal", func() bool { return len(f.sent("SignalResource")) > 0 }, m.journal)
	for _, s := range f.sent("SignalResource") {
		if s.Get("StackName") != "mining" || s.Get("LogicalResourceId") != "OnDemandMiners" || s.Get("UniqueId") != m.id || s.Get("Status") != "SUCCESS" {
			t.Errorf("got signal %v", s)
		}
	}
	m.run(t, "sudo systemctl start ethminer-metrics.service")
	printed := m.run(t, "sudo journalctl -u ethminer --no-pager -o cat")
	if rate := f.metric(t, "HashRate"); rate <= 0 {
		t.Errorf("CloudWatch has the hash rate %v of the fleet; the miner printed\n%s", rate, printed)
	}
}

// checkFaults lets the pool fail, which has no consequence, and then a GPU, which leads to
// one request for a replacement.
func (f *fleet) checkFaults(t *testing.T, m minerInstance) {
	t.Helper()
	const check = "for n in 1 2 3 4; do sudo systemctl reset-failed ethminer-health.service; sudo systemctl start ethminer-health.service; done" // more often than every minute
	m.run(t, "echo ETHMINER_REPLACE_AFTER=0 | sudo tee -a /etc/ethminer/ethminer.conf; sudo systemctl stop ethminer-health.timer")
	f.pool.Close()
	m.run(t, check)
	if sent := f.sent("SetInstanceHealth"); len(sent) > 0 {
		t.Errorf("got %v without a pool, want no request", sent)
	}
	m.run(t, "echo ETHMINER_GPUS=1 | sudo tee -a /etc/ethminer/ethminer.conf") // the instance has none
	m.run(t, check)
	if sent := f.sent("SetInstanceHealth"); len(sent) != 1 || sent[0].Get("InstanceId") != m.id || sent[0].Get("HealthStatus") != "Unhealthy" {
		t.Errorf("got %v without a GPU, want one request for %s", sent, m.id)
	}
}

// checkNotices gives notice to a spot instance, which reports it.
func (f *fleet) checkNotices(t *testing.T, m minerInstance) {
	t.Helper()
	m.run(t, `printf 'ETHMINER_METRICS=ethminer\nETHMINER_FLEET=mining\nAWS_ENDPOINT_URL=http://`+atGateway(t, f.session.Endpoint)+`\n' | sudo tee -a /etc/ethminer/ethminer.conf && sudo systemctl start ethminer-spot.service`)
	for _, notice := range []struct {
		metric string
		fault  rehearsal.Fault
	}{
		{"RebalanceRecommendations", rehearsal.Fault{Rebalance: "*", Region: "eu-central-1"}},
		{"SpotInterruptions", rehearsal.Fault{Reclaim: "*", Notice: "2m", Region: "eu-central-1"}},
	} {
		if got := f.metric(t, notice.metric); got != 0 {
			t.Errorf("got %s %v without a notice", notice.metric, got)
		}
		if err := f.session.AddFault(t.Context(), notice.fault); err != nil {
			t.Fatal(err)
		}
		awaitReport(t, notice.metric, func() bool { return f.metric(t, notice.metric) == 1 }, m.journal)
	}
}

// awaitReport waits up to two minutes until AWS has a report.
func awaitReport(t *testing.T, what string, done func() bool, log func() string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !done(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatalf("no %s:\n%s", what, log())
		}
	}
}

// metric returns the maximum of a metric that the rehearsal's CloudWatch has received, or 0.
func (f *fleet) metric(t *testing.T, name string) float64 {
	t.Helper()
	form := url.Values{
		"Action": {"GetMetricStatistics"}, "Version": {"2010-08-01"}, "Namespace": {"ethminer"}, "MetricName": {name},
		"Dimensions.member.1.Name": {"Fleet"}, "Dimensions.member.1.Value": {"mining"}, "Period": {"86400"}, "Statistics.member.1": {"Maximum"},
		"StartTime": {"2000-01-01T00:00:00Z"}, "EndTime": {"2200-01-01T00:00:00Z"},
	}.Encode()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.session.Endpoint, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	config := f.session.AWSConfig("eu-central-1")
	credentials, err := config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(form))
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, request, hex.EncodeToString(sum[:]), "monitoring", config.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	response, err := config.HTTPClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	body := string(data)
	_, text, found := strings.Cut(body, "<Maximum>")
	if !found {
		return 0
	}
	text, _, _ = strings.Cut(text, "</Maximum>")
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Errorf("%v in %s", err, body)
	}
	return rate
}
