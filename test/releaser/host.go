// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package releaser makes a release as the release workflow does and has the real
// Packer install it, from a stand-in for the release host on the loopback
// interface. See `make test-releaser`.
package releaser

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"sync"
	"time"
)

// The hosts that Packer 1.15 asks for a plugin, which no option changes.
const (
	hostOfficial = "releases.hashicorp.com" // knows HashiCorp's own plugins alone; asked first
	hostAPI      = "api.github.com"
	hostFiles    = "github.com"
	hostAssets   = "release-assets.githubusercontent.com" // where github.com redirects a download to
)

// files are what a release holds, by name.
type files map[string][]byte

// host stands in for the release host. Packer gets to it through a proxy that
// tunnels the hosts above to one TLS server and refuses every other host.
type host struct {
	proxy *httptest.Server
	site  *httptest.Server
	// authority is the certificate that signs the site's, as PEM.
	authority []byte

	mutex    sync.Mutex
	repo     string           // owner/name
	releases map[string]files // by tag
	served   []string         // host and path of each request that was answered with 200
	refused  []string         // hosts that a tunnel was refused to
}

// newHost starts a host without a release. Its caller closes it.
func newHost(repo string) (*host, error) {
	h := &host{repo: repo, releases: map[string]files{}}
	certificate, err := h.certify(hostOfficial, hostAPI, hostFiles, hostAssets)
	if err != nil {
		return nil, err
	}
	quiet := log.New(io.Discard, "", 0)
	h.site = httptest.NewUnstartedServer(http.HandlerFunc(h.answer))
	h.site.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	h.site.Config.ErrorLog = quiet
	h.site.StartTLS()
	h.proxy = httptest.NewUnstartedServer(http.HandlerFunc(h.tunnel))
	h.proxy.Config.ErrorLog = quiet
	h.proxy.Start()
	return h, nil
}

func (h *host) close() {
	h.proxy.CloseClientConnections()
	h.proxy.Close()
	h.site.CloseClientConnections()
	h.site.Close()
}

// publish puts the only release in place.
func (h *host) publish(tag string, release files) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.releases = map[string]files{tag: release}
	h.served, h.refused = nil, nil
}

// asked returns what was served and which hosts were refused since publish.
func (h *host) asked() (served, refused []string) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return slices.Clone(h.served), slices.Clone(h.refused)
}

// answer is the site of all four hosts.
func (h *host) answer(w http.ResponseWriter, r *http.Request) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	var body []byte
	switch dir, name := path.Split(r.URL.Path); {
	case r.Host == hostAPI && r.URL.Path == "/repos/"+h.repo+"/git/matching-refs/tags":
		type ref struct {
			Ref string `json:"ref"`
		}
		refs := []ref{}
		for tag := range h.releases {
			refs = append(refs, ref{"refs/tags/" + tag})
		}
		body, _ = json.Marshal(refs)
	case r.Host == hostFiles || r.Host == hostAssets:
		for tag, release := range h.releases {
			if dir == "/"+h.repo+"/releases/download/"+tag+"/" {
				body = release[name]
			}
		}
	}
	if body == nil {
		http.NotFound(w, r)
		return
	}
	h.served = append(h.served, r.Host+r.URL.Path)
	if r.Host == hostFiles {
		http.Redirect(w, r, "https://"+hostAssets+r.URL.Path, http.StatusFound)
		return
	}
	_, _ = w.Write(body)
}

// tunnel is the proxy: it knows CONNECT, to the site's hosts.
func (h *host) tunnel(w http.ResponseWriter, r *http.Request) {
	name, port, _ := net.SplitHostPort(r.Host)
	known := slices.Contains([]string{hostOfficial, hostAPI, hostFiles, hostAssets}, name)
	if r.Method != http.MethodConnect || !known || port != "443" {
		h.mutex.Lock()
		h.refused = append(h.refused, r.Method+" "+r.Host)
		h.mutex.Unlock()
		http.Error(w, "this proxy leads to the release host alone", http.StatusForbidden)
		return
	}
	site, err := net.Dial("tcp", h.site.Listener.Addr().String())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer site.Close()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(site, client)
		_ = site.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(client, site)
}

// certify makes an authority of the host's own and has it sign for names.
func (h *host) certify(names ...string) (tls.Certificate, error) {
	now := time.Now()
	template := func(serial int64, subject string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial),
			Subject:      pkix.Name{CommonName: subject},
			NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
			BasicConstraintsValid: true,
		}
	}
	ca, leaf := template(1, "release test authority"), template(2, names[0])
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	leaf.DNSNames = names
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}

	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making the authority's key: %w", err)
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making the site's key: %w", err)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("signing the authority: %w", err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, leafKey.Public(), caKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("signing the site: %w", err)
	}
	h.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}, nil
}
