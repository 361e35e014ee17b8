// Products of small float32 matrices on one core: a fraction of a microsecond for what takes general libraries several, because
// nothing is looked up, parted or packed.
#pragma once
#include <cstdint>

namespace cresset {

// out = left · right, plus what is to be added, then rectified if wanted.
struct Product {
  int64_t rows, depth, columns;
  // (rows, depth); the value (i, k) is left[i * left_row + k * left_step].
  const float* left;
  int64_t left_row, left_step;
  // (depth, columns), row after row; each can be read up to the next multiple of kLanes.
  const float* right;
  int64_t right_row;
  // (rows, columns), row after row. Nothing is written beyond the columns.
  float* out;
  int64_t out_row;
  // What is added to each row, (rows), and to each column, (columns, readable as right is); none if null.
  const float* to_rows = nullptr;
  const float* to_columns = nullptr;
  // Whether what is in `out` is added, too, of which the columns must be a multiple of kLanes.
  bool adds_to_out = false;
  bool is_rectified = false;
};

// The most floats that one instruction takes.
constexpr int64_t kLanes = 16;

// The next multiple of kLanes.
constexpr int64_t padded(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

// Whether this processor has the instructions for it; without them, libtorch's own products are faster.
bool has_small_products();

// Computes a product. Sums run along the depth in order, whatever the processor, so only its rounding (fused or not) matters.
void multiply(const Product& product);

// Writes (rows, columns) as (columns, rows).
void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_row, float* to, int64_t to_row);

}  // namespace cresset
