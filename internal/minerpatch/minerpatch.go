// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Package minerpatch lists the source edits that make a miner build with current
// compilers and libraries, or mine another coin. An edit replaces one known construct
// and names the issue that it fixes. It applies only where the construct occurs, so
// forks with their own fix remain unchanged. The package is data only; the
// provisioner's scripts/edits.sh applies the edits on the instance.
package minerpatch

import "strconv"

// Tree is the source tree that an edit applies to.
type Tree string

const (
	// Miner is ethminer's own source.
	Miner Tree = "miner"
	// Ethash is the source of the library ethash, which the miner links.
	Ethash Tree = "ethash"
)

// Edit is one change. Old and New are literal texts and may contain newlines.
type Edit struct {
	Name string
	// Issue is the URL of the bug report or specification.
	Issue string
	Tree  Tree
	// Files are paths in the tree, with shell wildcards. Missing paths are skipped.
	Files []string
	Old   string
	New   string
	// Done is a literal text that shows that a file is already fixed. It may be
	// empty.
	Done string
	// Left is an extended regular expression that must match no line of Files after
	// the edit. It detects unknown forms of the construct, which would otherwise
	// fail much later in the compiler. It may be empty.
	Left string
	// Must makes it an error if the edit applies nowhere. It is set if the source is
	// known to have the construct, or would be wrong without the edit.
	Must bool
}

// Args returns the edit's fields in the argument order of scripts/edits.sh.
func (e Edit) Args() []string {
	args := []string{string(e.Tree), e.Name, e.Issue, e.Old, e.New, e.Done, e.Left, strconv.FormatBool(e.Must), strconv.Itoa(len(e.Files))}
	return append(args, e.Files...)
}

// Issue trackers of ethminer.
const (
	upstreamIssues = "https://github.com/ethereum-mining/ethminer/issues/"
	upstreamPulls  = "https://github.com/ethereum-mining/ethminer/pull/"
)

// Build returns the edits that make ethminer 0.18 and 0.19 compile with Boost 1.70
// and newer, GCC 13 and newer, and a distribution's jsoncpp. pinned means that the
// source is upstream's last commit, which has every construct.
func Build(pinned bool) []Edit {
	return []Edit{
		{
			// Boost 1.70 removed get_io_service from strands; context() exists
			// since 1.66.
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
			// Newer Boost moved _1 into a namespace.
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
			// GCC 13's <string> no longer includes <cstdint>.
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
			// Hunter's jsoncpp has the target jsoncpp_lib_static, distributions
			// have jsoncpp_lib.
			Name:  "jsoncpp-target",
			Issue: upstreamIssues + "2084",
			Tree:  Miner,
			Files: []string{"CMakeLists.txt", "*/CMakeLists.txt"},
			Old:   "jsoncpp_lib_static",
			New:   "jsoncpp_lib",
			Left:  `jsoncpp_lib_static`,
			Must:  pinned,
		},
		{
			// Debian and Ubuntu have json/json.h in /usr/include/jsoncpp, which only
			// targets that link jsoncpp search. One target links it privately, but
			// five include the header. Unlike target_link_libraries(... PRIVATE),
			// link_libraries can be combined with FindCUDA's plain signatures.
			Name:  "jsoncpp-header",
			Issue: upstreamIssues + "265",
			Tree:  Miner,
			Files: []string{"CMakeLists.txt"},
			Old:   "find_package(jsoncpp CONFIG REQUIRED)\n",
			New:   "find_package(jsoncpp CONFIG REQUIRED)\nlink_libraries(jsoncpp_lib)\n",
			Done:  "link_libraries(jsoncpp_lib)",
			Must:  pinned,
		},
	}
}

const ecip1099 = "https://ecips.ethereumclassic.org/ECIPs/ecip-1099"

// Etchash returns the edits that make ethminer mine Ethereum Classic (ECIP-1099): an
// epoch has 60000 blocks, and the seed is hashed twice per epoch; sizes still follow
// the epoch number. Each edit must apply: without one the miner uses the wrong DAG,
// and pools reject every share.
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
