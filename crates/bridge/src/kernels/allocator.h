// Memory of tensors on the CPU that is kept for the next tensors.
#pragma once
#include <cstddef>

namespace cresset {

// From here on until as many calls of stop_keeping_memory, freed blocks are kept.
void start_keeping_memory();
void stop_keeping_memory();

// The bytes that are kept and that no tensor uses.
size_t kept_bytes();

}  // namespace cresset
