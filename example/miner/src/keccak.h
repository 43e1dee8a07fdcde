// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Keccak as submitted to NIST (padding byte 0x01), which Ethereum uses; FIPS 202 later changed that byte for SHA-3.
#pragma once

#include <cstddef>
#include <cstdint>

// Compiles a function for the named extensions of the processor too. glibc's loader selects one at run time, before a thread
// sanitizer is initialized.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define PER_CPU(...) [[gnu::target_clones(__VA_ARGS__, "default")]]
#else
#define PER_CPU(...)
#endif

namespace ethash {

// Writes the 32-byte digest of size bytes at data.
void keccak256(const void* data, size_t size, void* digest);

// Writes the 64-byte digest of size bytes at data. digest may be data itself.
void keccak512(const void* data, size_t size, void* digest);

// The same for 64 bytes, which most of Ethash hashes, without the copies that other sizes need.
void keccak512_item(const void* item, void* digest);

}  // namespace ethash
