// A caching allocator for CPU tensors.
#pragma once
#include <cstddef>

namespace cresset {

// Keeps freed blocks until stop_keeping_memory has been called as often as this function.
void start_keeping_memory();
void stop_keeping_memory();

// Bytes in the cache, not used by any tensor.
size_t kept_bytes();

}  // namespace cresset
