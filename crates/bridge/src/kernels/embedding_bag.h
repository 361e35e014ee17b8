// Sums of the rows of a table, with sparse gradients, and row-wise Adagrad, which such a table is trained by.
#pragma once
#include <memory>

#include <ATen/core/Tensor.h>

namespace cresset {

// The sum of the rows of `weight`, (rows, width), that each line of `rows`, int64 (N, L), lists; `padding` is not added, and -1 is none.
// Null where libtorch's operations must be used.
std::unique_ptr<at::Tensor> bag_sums(const at::Tensor& weight, const at::Tensor& rows, int64_t padding, bool has_sparse_gradient);

// Adds the mean squares of `gradients`, (n, width), to the entries of `sums`, (rows), that `rows`, int64 (n), lists, each once, and
// subtracts gradient · rate / (root of the sum + epsilon) from the same rows of `weight`, (rows, width). Returns false, with nothing
// changed, where libtorch's operations must be used.
bool adagrad_rows(const at::Tensor& weight, const at::Tensor& sums, const at::Tensor& rows, const at::Tensor& gradients, double rate,
                  double epsilon);

}  // namespace cresset
