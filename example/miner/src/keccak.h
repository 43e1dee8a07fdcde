// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

// Keccak as submitted to NIST (padding byte 0x01), which Ethereum uses; FIPS 202 later changed that byte for SHA-3.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ethash {

// Writes the 32-byte digest of size bytes at data.
void keccak256(const void* data, size_t size, void* digest);

// Writes the 64-byte digest of size bytes at data. digest may be data itself.
void keccak512(const void* data, size_t size, void* digest);

}  // namespace ethash
