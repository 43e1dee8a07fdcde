// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package deadman makes the user data by which a build's instance ends itself,
// although whoever launched it is gone.
//
// The switch is a cloud-init boothook: a part of the user data that cloud-init
// runs early at every boot. It writes a systemd unit to /run that sleeps until
// the deadline and then powers off. So nothing has to be taken off an image:
// what acts is in memory, and cloud-init runs the boothook for the instance
// that has this user data only. All that an image can keep is cloud-init's own
// record of a machine that is gone, and the deadline in that record.
//
// It acts where EC2 ends the instance that powers off, and where cloud-init
// runs. The user's own user data stays what it was, as another part of one MIME
// message. The package is pure: bytes in, bytes out.
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

// Limit is how long user data may be, before base64
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html).
const Limit = 16384

// ErrForeign is returned for user data that is not cloud-init's: it must reach
// the machine as it is.
var ErrForeign = errors.New("it is in no format that cloud-init knows")

// A SizeError is returned for user data that is too long, with the switch or
// without it.
type SizeError struct {
	Bytes int // compressed, where that was tried
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("it comes to %d bytes; EC2 takes at most %d", e.Bytes, Limit)
}

//go:embed switch.sh
var script string

// Switch is the boothook that powers a machine off when that long has passed
// since its first boot. It is rounded up to a whole second.
func Switch(after time.Duration) string {
	seconds := (after + time.Second - 1) / time.Second
	return strings.ReplaceAll(script, "@SECONDS@", strconv.Itoa(int(seconds)))
}

// Arm returns user data with a switch before the user's own, which may be
// empty. It is compressed if it is too long otherwise. The error is ErrForeign,
// or a *SizeError.
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

// Check says whether user data is short enough to be passed on as it is. The
// error is a *SizeError.
func Check(own []byte) error {
	if len(own) > Limit {
		return &SizeError{len(own)}
	}
	return nil
}

// fit compresses what is too long, as cloud-init allows.
func fit(data []byte) ([]byte, error) {
	if len(data) <= Limit {
		return data, nil
	}
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one
	_, _ = w.Write(data)                                  // a Buffer takes everything
	_ = w.Close()
	if b.Len() > Limit {
		return nil, &SizeError{b.Len()}
	}
	return b.Bytes(), nil
}

// mostUnzipped bounds what compressed user data may grow to.
const mostUnzipped = 8 << 20

// unzip returns what compressed user data holds; cloud-init tells it by its
// first bytes, too.
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
