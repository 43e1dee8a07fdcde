// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
)

// controlPath is the prefix of the rehearsal's own requests. Their header
// X-Rehearsal-Secret contains the session's secret key:
//
//	GET    /_rehearsal/session    identity of the server; also the health check
//	GET    /_rehearsal/inventory  existing resources by region
//	GET    /_rehearsal/calls      number of calls by region and action
//	POST   /_rehearsal/faults     injects a Fault, as JSON
//	DELETE /_rehearsal/faults     removes the faults of calls
//	POST   /_rehearsal/owner      {"pid": N}: adds an owner, see owners
//	POST   /_rehearsal/stop       stops the server
const (
	controlPath  = "/_rehearsal/"
	sessionPath  = controlPath + "sessions/" // sessions of Session Manager, each with its own token
	secretHeader = "X-Rehearsal-Secret"      //nolint:gosec // a header name
)

func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(secretHeader)), []byte(s.cfg.SecretKey)) != 1 {
		http.Error(w, "the header "+secretHeader+" must contain the session's secret key", http.StatusForbidden)
		return
	}
	s.mu.Lock()
	describe, owner, stop := s.describe, s.onOwner, s.onStop
	s.mu.Unlock()
	body := http.MaxBytesReader(w, r.Body, 1<<20)
	switch r.Method + " " + r.URL.Path[len(controlPath):] {
	case "GET session":
		session := Session{AccessKey: s.cfg.AccessKey, SecretKey: s.cfg.SecretKey, AccountID: AccountID, CallerIP: CallerIP}
		if describe != nil {
			session = describe()
		}
		writeJSON(w, session)
	case "GET inventory":
		writeJSON(w, s.inventories())
	case "GET calls":
		writeJSON(w, s.Calls())
	case "POST faults":
		var f Fault
		d := json.NewDecoder(body)
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			http.Error(w, "reading the fault: "+err.Error(), http.StatusBadRequest)
			return
		}
		s.AddFault(f)
		writeJSON(w, f)
	case "DELETE faults":
		s.ClearFaults()
		writeJSON(w, struct{}{})
	case "POST owner":
		var o struct {
			PID int `json:"pid"`
		}
		if err := json.NewDecoder(body).Decode(&o); err != nil || o.PID < 1 {
			http.Error(w, fmt.Sprintf("owner: got pid %d, want a running process: %v", o.PID, err), http.StatusBadRequest)
			return
		}
		if owner != nil {
			if err := owner(o.PID); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
		}
		writeJSON(w, o)
	case "POST stop":
		writeJSON(w, struct{}{})
		if stop != nil {
			stop()
		}
	default:
		http.NotFound(w, r)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may have disconnected
}
