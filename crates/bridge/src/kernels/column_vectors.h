// The first layer of models of tables: vectors of categories, written to their places among the other values of a row.
#pragma once
#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include "rust/cxx.h"

namespace cresset {

// For each line of `rows`, (N, features): values that are copied, and the vectors of categories. `copies` has a feature, a place in the
// output and a length for each run of values; `columns` has, for each column of categories, its feature, the place of its vector, the row
// of its unknown category, and the number of categories, whose rows follow. The vectors of the first `dense_columns` columns are rows of
// `dense`, (rows, width), and those of the others rows of `sparse`, whose gradient is sparse; its rows differ and ascend. Both may be
// undefined. Null where libtorch's operations must be used.
std::unique_ptr<at::Tensor> column_vectors(const at::Tensor& rows, rust::Slice<const int64_t> copies, rust::Slice<const int64_t> columns,
                                           int64_t dense_columns, const at::Tensor& dense, const at::Tensor& sparse);

}  // namespace cresset
