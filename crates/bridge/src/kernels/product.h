// Products of small float32 matrices on one core: a fraction of a microsecond where general libraries take several, because
// nothing is looked up, split among threads or packed.
#pragma once
#include <cstdint>

namespace cresset {

// out = left · right, plus optional terms, then ReLU if requested.
struct Product {
  int64_t rows, depth, columns;
  // (rows, depth); the value (i, k) is left[i * left_row + k * left_step].
  const float* left;
  int64_t left_row, left_step;
  // (depth, columns), row-major; each row is readable up to the next multiple of kLanes.
  const float* right;
  int64_t right_row;
  // (rows, columns), row-major. Nothing is written beyond the columns.
  float* out;
  int64_t out_row;
  // Added to each row, (rows), and to each column, (columns, readable like right); none if null.
  const float* to_rows = nullptr;
  const float* to_columns = nullptr;
  // Whether to add to the values in `out`; the number of columns must then be a multiple of kLanes.
  bool adds_to_out = false;
  bool is_rectified = false;
};

// Floats in the widest vector.
constexpr int64_t kLanes = 16;

// The next multiple of kLanes.
constexpr int64_t padded(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

// Whether this CPU has the required instructions; without them, libtorch's products are faster.
bool has_small_products();

// Computes a product. Sums run along the depth in order on every CPU, so results differ only by rounding (fused or not).
void multiply(const Product& product);

// Transposes (rows, columns) to (columns, rows).
void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_row, float* to, int64_t to_row);

}  // namespace cresset
