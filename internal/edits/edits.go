// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package edits holds what has to change in a miner's source before it builds
// with the compiler and the libraries of today, or mines another coin. An edit
// replaces one known construct and names the report of the fault it is for. It
// applies where the construct stands and nowhere else: a fork that has its own
// remedy stays as it is. The package is data; scripts/edits.sh of the
// provisioner applies it, on the instance.
package edits

import "strconv"

// Tree is the source that an edit is for.
type Tree string

const (
	// Miner is ethminer's own source.
	Miner Tree = "miner"
	// Ethash is the source of the library ethash, which a miner links.
	Ethash Tree = "ethash"
)

// Edit is one change. Old and New are literal texts; they may hold newlines.
type Edit struct {
	Name string
	// Issue is where the fault was reported or the change was specified.
	Issue string
	Tree  Tree
	// Files are paths in the tree, with the shell's wildcards. A path that is
	// not there is passed over.
	Files []string
	Old   string
	New   string
	// Done is a literal text that shows, in a file, that the fault is mended
	// already. It may be empty.
	Done string
	// Left is an extended regular expression that must match no line of Files
	// once the edit was applied: a form of the construct that is not known here
	// would be an error of the compiler much later. It may be empty.
	Left string
	// Must makes it an error that the edit applies to nothing: set for a source
	// that is known to have the construct, or that is wrong without the edit.
	Must bool
}

// Args are the edit's fields in the order in which scripts/edits.sh takes them.
func (e Edit) Args() []string {
	args := []string{string(e.Tree), e.Name, e.Issue, e.Old, e.New, e.Done, e.Left, strconv.FormatBool(e.Must), strconv.Itoa(len(e.Files))}
	return append(args, e.Files...)
}

// Where ethminer's faults are reported.
const (
	upstreamIssues = "https://github.com/ethereum-mining/ethminer/issues/"
	upstreamPulls  = "https://github.com/ethereum-mining/ethminer/pull/"
)

// Build makes ethminer 0.18 and 0.19 compile with Boost 1.70 and newer, GCC 13
// and newer, and a distribution's jsoncpp. pinned says that the source is
// upstream's last commit, which has every construct.
func Build(pinned bool) []Edit {
	return []Edit{
		{
			// Boost 1.70 took get_io_service away from strands; context() is
			// there since 1.66.
			Name:  "strand-context",
			Issue: upstreamIssues + "2393",
			Tree:  Miner,
			Files: []string{"libethcore/*.cpp", "libethcore/*.h", "libapicore/*.cpp", "libpoolprotocols/*.cpp", "libpoolprotocols/*/*.cpp"},
			Old:   "m_io_strand.get_io_service()",
			New:   "m_io_strand.context()",
			Left:  `\.get_io_service\(`,
			Must:  pinned,
		},
		{
			// Newer Boost keeps _1 in a name space of its own.
			Name:  "bind-placeholders",
			Issue: upstreamPulls + "2284",
			Tree:  Miner,
			Files: []string{"libapicore/*.cpp", "libpoolprotocols/*/*.cpp"},
			Old:   ", this, _1",
			New:   ", this, boost::placeholders::_1",
			Done:  "using namespace boost::placeholders",
			Left:  `[(, ]_[1-9][,)]`,
			Must:  pinned,
		},
		{
			// GCC 13's <string> includes <cstdint> no more.
			Name:  "cstdint",
			Issue: "https://gcc.gnu.org/gcc-13/porting_to.html#header-dep-changes",
			Tree:  Miner,
			Files: []string{"libdevcore/vector_ref.h"},
			Old:   "#include <cassert>\n",
			New:   "#include <cassert>\n#include <cstdint>\n",
			Done:  "#include <cstdint>",
			Must:  pinned,
		},
		{
			// Hunter's jsoncpp has the target jsoncpp_lib_static, a
			// distribution's has jsoncpp_lib.
			Name:  "jsoncpp-target",
			Issue: upstreamIssues + "2084",
			Tree:  Miner,
			Files: []string{"CMakeLists.txt", "*/CMakeLists.txt"},
			Old:   "jsoncpp_lib_static",
			New:   "jsoncpp_lib",
			Left:  `jsoncpp_lib_static`,
			Must:  pinned,
		},
	}
}

const ecip1099 = "https://ecips.ethereumclassic.org/ECIPs/ecip-1099"

// Etchash makes ethminer mine Ethereum Classic: an epoch is 60000 blocks, and
// its seed is hashed twice an epoch (ECIP-1099); sizes stay those of the epoch.
// Each edit must apply, since a miner that lacks one mines on a wrong DAG and
// has every share rejected.
func Etchash() []Edit {
	return []Edit{
		{
			Name:  "etchash-epoch-of-block",
			Issue: ecip1099,
			Tree:  Miner,
			Files: []string{"libpoolprotocols/*.cpp", "libpoolprotocols/*/*.cpp", "libethcore/*.cpp"},
			Old:   "block / 30000",
			New:   "block / 60000",
			Left:  `/ *30000`,
			Must:  true,
		},
		{
			Name:  "etchash-epoch-length",
			Issue: ecip1099,
			Tree:  Ethash,
			Files: []string{"include/ethash/ethash.h"},
			Old:   "#define ETHASH_EPOCH_LENGTH 30000",
			New:   "#define ETHASH_EPOCH_LENGTH 60000",
			Left:  `EPOCH_LENGTH 30000`,
			Must:  true,
		},
		{
			Name:  "etchash-epoch-of-seed",
			Issue: ecip1099,
			Tree:  Ethash,
			Files: []string{"lib/ethash/ethash.cpp"},
			Old:   "s = keccak256(s);",
			New:   "s = keccak256(keccak256(s));",
			Must:  true,
		},
		{
			Name:  "etchash-seed-of-epoch",
			Issue: ecip1099,
			Tree:  Ethash,
			Files: []string{"lib/ethash/ethash.cpp"},
			Old:   "for (int i = 0; i < epoch_number; ++i)",
			New:   "for (int i = 0; i < 2 * epoch_number; ++i)",
			Must:  true,
		},
	}
}
