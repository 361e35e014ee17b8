// A tile of the result stays in registers along the depth: a value of the left matrix times a vector of the right one is added
// to a vector of the tile. The same code is compiled for each vector width, and the tile is as large as the registers allow:
// 8 rows of 32 columns with AVX-512, 6 of 16 with AVX2.
#include "cresset-bridge/src/kernels/product.h"

#include <algorithm>
#include <cstring>

#include "cresset-bridge/src/kernels/vector.h"

namespace cresset {
namespace {

// A tile of `Rows` rows and `Vectors` vectors of columns, from the given row and column.
template <typename L, int Rows, int Vectors>
[[gnu::always_inline]] inline void tile(const Product& p, int64_t row, int64_t column) {
  using V = typename L::Vector;
  constexpr auto width = L::width;
  const auto left_row = p.left_row, left_step = p.left_step, right_row = p.right_row, depth = p.depth;
  const auto* left = p.left + row * left_row;
  const auto* right = p.right + column;
  V sums[Rows][Vectors];
  for (int i = 0; i < Rows; ++i) {
    for (int j = 0; j < Vectors; ++j) {
      sums[i][j] = V{} + (p.to_rows ? p.to_rows[row + i] : 0);
      if (p.to_columns) sums[i][j] += at<L>(p.to_columns + column + j * width);
      if (p.adds_to_out) sums[i][j] += at<L>(p.out + (row + i) * p.out_row + column + j * width);
    }
  }
  for (int64_t k = 0; k < depth; ++k, left += left_step, right += right_row) {
    V factors[Vectors];
    for (int j = 0; j < Vectors; ++j) factors[j] = at<L>(right + j * width);
    for (int i = 0; i < Rows; ++i) {
      const auto factor = left[i * left_row];
      for (int j = 0; j < Vectors; ++j) sums[i][j] += factor * factors[j];
    }
  }
  for (int i = 0; i < Rows; ++i) {
    for (int j = 0; j < Vectors; ++j) {
      // NaN is kept.
      if (p.is_rectified) sums[i][j] = sums[i][j] < 0 ? V{} : sums[i][j];
      const auto count = std::min(width, p.columns - column - j * width);
      auto* const to = p.out + (row + i) * p.out_row + column + j * width;
      if (count == width) {
        at<L>(to) = sums[i][j];
      } else {
        std::memcpy(to, &sums[i][j], count * sizeof(float));
      }
    }
  }
}

// All rows of some vectors of columns, in tiles of `Rows` rows and then in smaller ones.
template <typename L, int Rows, int Vectors>
[[gnu::always_inline]] inline void strip(const Product& p, int64_t row, int64_t column) {
  for (; row + Rows <= p.rows; row += Rows) tile<L, Rows, Vectors>(p, row, column);
  if constexpr (Rows > 1) strip<L, Rows / 2, Vectors>(p, row, column);
}

template <typename L, int Rows>
[[gnu::always_inline]] inline void all(const Product& p) {
  constexpr auto width = L::width;
  int64_t column = 0;
  for (; p.columns - column > width; column += 2 * width) strip<L, Rows, 2>(p, 0, column);
  if (column < p.columns) strip<L, Rows, 1>(p, 0, column);
}

CRESSET_AVX512 void multiply_by_16(const Product& p) { all<Lanes<16>, 8>(p); }
CRESSET_AVX2 void multiply_by_8(const Product& p) { all<Lanes<8>, 6>(p); }
void multiply_by_4(const Product& p) { all<Lanes<4>, 4>(p); }

}  // namespace

bool has_small_products() {
  static const bool has = for_processor(true, true, false);
  return has;
}

void multiply(const Product& product) {
  static const auto by = for_processor(multiply_by_16, multiply_by_8, multiply_by_4);
  by(product);
}

// In square blocks, whose rows and columns both stay in the cache.
void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_row, float* to, int64_t to_row) {
  for (int64_t top = 0; top < rows; top += kLanes) {
    const auto bottom = std::min(rows, top + kLanes);
    for (int64_t left = 0; left < columns; left += kLanes) {
      const auto right = std::min(columns, left + kLanes);
      for (auto column = left; column < right; ++column) {
        for (auto row = top; row < bottom; ++row) to[column * to_row + row] = from[row * from_row + column];
      }
    }
  }
}

}  // namespace cresset
