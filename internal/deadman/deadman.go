// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package deadman builds user data with which a build's instance shuts itself
// down, even if Packer is gone.
//
// The switch is a cloud-init boothook: a part of the user data that cloud-init
// runs early at every boot. It writes a systemd unit to /run that sleeps until
// the deadline and then powers off. Nothing has to be removed from an image: the
// unit is in memory, and cloud-init runs the boothook only on the instance with
// this user data. An image keeps only cloud-init's record of the build instance,
// with the deadline in it.
//
// It requires cloud-init, and an instance that EC2 terminates or stops on power
// off. The user's own user data is unchanged, as another part of one MIME message.
// The package has no side effects.
package deadman

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Limit is the maximum size of user data in bytes, before base64
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html).
const Limit = 16384

// ErrForeign is returned for user data that is not in a cloud-init format, which
// must not be changed.
var ErrForeign = errors.New("it is not in a cloud-init format")

// A SizeError is returned for user data that is too long, with or without the
// switch.
type SizeError struct {
	Bytes int // after compression, if tried
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("it has %d bytes, want at most %d, EC2's limit", e.Bytes, Limit)
}

//go:embed switch.sh
var script string

// Switch returns the boothook that powers a machine off at a time after its first
// boot, rounded up to a whole second.
func Switch(after time.Duration) string {
	seconds := (after + time.Second - 1) / time.Second
	return strings.ReplaceAll(script, "@SECONDS@", strconv.Itoa(int(seconds)))
}

// Arm returns user data with a switch before the user's own, which may be empty.
// It compresses the result if necessary. The error is ErrForeign or a *SizeError.
func Arm(after time.Duration, own []byte) ([]byte, error) {
	if len(own) == 0 {
		return []byte("#cloud-boothook\n" + Switch(after)), nil
	}
	plain, err := unzip(own)
	if err != nil {
		return nil, ErrForeign
	}
	part, err := asPart(plain)
	if err != nil {
		return nil, err
	}
	return fit(join(switchPart(after), part))
}

// Check returns a *SizeError if user data exceeds the limit without compression.
func Check(own []byte) error {
	if len(own) > Limit {
		return &SizeError{len(own)}
	}
	return nil
}

// fit compresses data that is too long, which cloud-init supports.
func fit(data []byte) ([]byte, error) {
	if len(data) <= Limit {
		return data, nil
	}
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is valid
	_, _ = w.Write(data)                                  // a Buffer accepts all data
	_ = w.Close()
	if b.Len() > Limit {
		return nil, &SizeError{b.Len()}
	}
	return b.Bytes(), nil
}

// mostUnzipped limits the size of decompressed user data.
const mostUnzipped = 8 << 20

// unzip decompresses user data, which it detects by its first bytes, as cloud-init
// does.
func unzip(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return data, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, mostUnzipped+1))
	if err == nil && len(plain) > mostUnzipped {
		err = errors.New("it is too long")
	}
	return plain, err
}
