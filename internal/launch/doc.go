// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package launch launches an instance: it tries instance types, markets and places
// in order until EC2 accepts one. Network finds the places.
//
// Each request makes one attempt of the strategy, or consecutive attempts on the spot
// market, of which EC2 chooses one (a fleet). The outermost loop is the type, because it
// determines the GPU that the image is built for; then the market; then the place. So
// each market is tried in all places before the next market, and each type in all
// markets before the next type. Within each, the order is the user's.
//
// The kind of refusal determines the next step (awsclient classifies refusals):
//
//	no capacity        the next attempt, immediately
//	quota              the next attempt of another type or market, as a quota
//	                   applies to the whole region
//	not offered        the next attempt
//	no role for spot   the next attempt of another market
//	price              the next attempt; on demand, of another type or market
//	throttled          the same attempt after a pause, a few times
//	other errors       the launch fails
//
// With a Timeout, the attempts that may succeed later are retried after a pause: after a refusal for capacity or the spot price.
package launch
