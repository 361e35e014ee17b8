// Short decimal numbers of a table's text, several at once.
#pragma once
#include <cstddef>
#include <cstdint>

#include "rust/cxx.h"

namespace cresset {

// Reads numbers from the place given on, each of which ends at a delimiter, into `values`, until they are full, a number is not short
// or the text nears its end. Gives how many were read, and makes `behind` the place behind the last one's delimiter.
size_t read_decimals(rust::Slice<const uint8_t> text, size_t from, uint8_t delimiter, rust::Slice<float> values, size_t& behind);

}  // namespace cresset
