// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/s3"
)

// serveS3 answers a request of S3, whose protocol is the paths, methods and
// headers of HTTP, and not an action with parameters.
func (s *Server) serveS3(w http.ResponseWriter, r *http.Request, at scope) {
	requestID := uuid()
	q, err := s3.Read(r)
	answer := &s3.Answer{Header: http.Header{}}
	if err == nil {
		answer, err = s.callS3(at, q)
	}
	status, body := max(answer.Status, http.StatusOK), answer.Body
	if err != nil {
		known := &query.Error{Code: "InternalError", Message: err.Error(), Status: 500}
		errors.As(err, &known)
		status, body = known.HTTPStatus(), s3.Failure(requestID, q, known)
		answer.Header.Set("Content-Type", "application/xml")
		answer.Header.Del("Content-Length")
	}
	bodiless := r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	if bodiless {
		body = nil
	}
	if s.cfg.Record != nil {
		s.cfg.Record(at.service, q.Action, status, body)
	}
	for name, values := range answer.Header {
		name = http.CanonicalHeaderKey(name)
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			name = strings.ToLower(name) // which some clients show as it comes
		}
		w.Header()[name] = values
	}
	w.Header().Set("x-amz-request-id", requestID)
	w.Header().Set("x-amz-id-2", "rehearsal")
	switch {
	case !bodiless:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	case err != nil:
		w.Header().Del("Content-Type")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client went away: nobody to tell
}

func (s *Server) callS3(at scope, q *s3.Request) (*s3.Answer, error) {
	none := &s3.Answer{Header: http.Header{}}
	if subtle.ConstantTimeCompare([]byte(at.accessKey), []byte(s.cfg.AccessKey)) != 1 {
		return none, &query.Error{Code: "InvalidAccessKeyId", Message: "The AWS Access Key Id you provided does not exist in our records.", Status: 403}
	}
	if err := s.admit(at, q.Action, q.Params); err != nil {
		return none, err
	}
	answer, err := s.s3.Call(at.region, q)
	known := new(query.Error)
	if errors.As(err, &known) && known.Code == "NoSuchKey" && s.caller.Check(at.service, "ListObjectsV2", nil) != nil {
		// Who may not list a bucket is not told what is not in it.
		return answer, &query.Error{Code: "AccessDenied", Message: "Access Denied", Status: 403}
	}
	return answer, err
}
