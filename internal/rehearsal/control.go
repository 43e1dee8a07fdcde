// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
)

// controlPath is where the rehearsal's own requests go. They carry the
// session's secret key in the header X-Rehearsal-Secret:
//
//	GET    /_rehearsal/session    who serves here; also the health check
//	GET    /_rehearsal/inventory  what has been made, by region
//	GET    /_rehearsal/calls      how often each action was called, by region
//	POST   /_rehearsal/faults     a Fault, as JSON
//	DELETE /_rehearsal/faults     disarms the faults of calls
//	POST   /_rehearsal/owner      {"pid": N}: one more process to live with
//	POST   /_rehearsal/stop       ends the server
const (
	controlPath  = "/_rehearsal/"
	secretHeader = "X-Rehearsal-Secret"
)

func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(secretHeader)), []byte(s.cfg.SecretKey)) != 1 {
		http.Error(w, "the header "+secretHeader+" must carry the session's secret key", http.StatusForbidden)
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
		answer(w, session)
	case "GET inventory":
		answer(w, s.Inventory())
	case "GET calls":
		answer(w, s.Calls())
	case "POST faults":
		var f Fault
		d := json.NewDecoder(body)
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			http.Error(w, "reading the fault: "+err.Error(), http.StatusBadRequest)
			return
		}
		s.AddFault(f)
		answer(w, f)
	case "DELETE faults":
		s.ClearFaults()
		answer(w, struct{}{})
	case "POST owner":
		var o struct {
			PID int `json:"pid"`
		}
		if err := json.NewDecoder(body).Decode(&o); err != nil || o.PID < 1 {
			http.Error(w, fmt.Sprintf("the owner's pid is %d, expected a process: %v", o.PID, err), http.StatusBadRequest)
			return
		}
		if owner != nil {
			if err := owner(o.PID); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
		}
		answer(w, o)
	case "POST stop":
		answer(w, struct{}{})
		if stop != nil {
			stop()
		}
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client went away: nobody to tell
}
