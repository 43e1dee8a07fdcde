// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package launch finds the instance that can be had: it tries types, markets
// and places in an order, one call each, until EC2 gives one.
//
// Such a try is a rung of the ladder. The order is that of a miner's needs:
// the type outermost, since an image mines on the GPU type that it is built
// on; then the market; then the place. So a market is tried everywhere before
// the next, dearer one, and everything is tried with a type before another GPU
// is taken. Within each, the order is the user's.
//
// What a refusal means decides what comes next (ec2api tells refusals apart):
//
//	no capacity        the next rung, at once
//	quota              the next rung of another type or market: a quota counts
//	                   for the region, so other places are not asked
//	not offered there  the next rung
//	no role for spot   the next rung of another market
//	price              the next rung; on demand, of another type or market
//	throttled          the same rung, after a pause, a few times
//	anything else      the end
//
// A ladder with a Timeout is walked again after a pause, on those rungs where
// time may help: capacity and the spot price, not quota or what is not offered.
package launch
