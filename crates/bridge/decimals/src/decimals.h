// Reads short decimal numbers from the text of a table, several at once.
#pragma once
#include <cstddef>
#include <cstdint>

#include "rust/cxx.h"

namespace cresset {

// Reads numbers from `from` on, each of which ends at a delimiter, into `values`, until it is full, a cell is not a short
// number, or the text nears its end. Returns how many were read, and sets `behind` to the position after the last delimiter.
size_t read_decimals(rust::Slice<const uint8_t> text, size_t from, uint8_t delimiter, rust::Slice<float> values, size_t& behind);

}  // namespace cresset
