// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package rehearsal

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/query"
	"github.com/eth-mining/packer-plugin-ethminer/internal/rehearsal/s3"
)

// serveS3 serves an S3 request. S3 uses HTTP paths, methods and headers in place of an
// action with parameters.
func (s *Server) serveS3(w http.ResponseWriter, r *http.Request, at scope) {
	requestID := uuid()
	q, err := s3.Read(r)
	response := &s3.Response{Header: http.Header{}}
	if err == nil {
		err = s.reachable(at, r)
	}
	if err == nil {
		err = s.identify(r, &at)
	}
	if err == nil {
		response, err = s.callS3(at, q)
	}
	status, body := max(response.Status, http.StatusOK), response.Body
	if err != nil {
		known := &query.Error{Code: "InternalError", Message: err.Error(), Status: 500}
		errors.As(err, &known)
		status, body = known.HTTPStatus(), s3.Failure(requestID, q, known)
		response.Header.Set("Content-Type", "application/xml")
		response.Header.Del("Content-Length")
	}
	bodiless := r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	if bodiless {
		body = nil
	}
	if s.cfg.Record != nil {
		s.cfg.Record(at.service, q.Action, status, body)
	}
	for name, values := range response.Header {
		name = http.CanonicalHeaderKey(name)
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			name = strings.ToLower(name) // some clients display the name unchanged
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
	_, _ = w.Write(body) // the client may have disconnected
}

func (s *Server) callS3(at scope, q *s3.Request) (*s3.Response, error) {
	none := &s3.Response{Header: http.Header{}}
	if at.role != nil { // other accounts have no S3
		return none, &query.Error{Code: "InvalidAccessKeyId", Message: "The AWS Access Key Id you provided does not exist in our records.", Status: 403}
	}
	if err := s.admit(at, q.Action, q.Params); err != nil {
		return none, err
	}
	response, err := s.s3.Call(at.region, q)
	known := new(query.Error)
	if errors.As(err, &known) && known.Code == "NoSuchKey" && s.caller.Check(at.service, "ListObjectsV2", nil, nil) != nil {
		// Without ListBucket, S3 returns AccessDenied for a missing object.
		return response, &query.Error{Code: "AccessDenied", Message: "Access Denied", Status: 403}
	}
	return response, err
}
