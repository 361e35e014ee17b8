// Large float32 matrix products by oneDNN. MKL uses AVX-512 on Intel CPUs only, oneDNN on all that have it.
#pragma once
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace cresset {

// Whether this CPU multiplies faster with oneDNN. If so, libtorch's `mm` and `addmm` use it for large products in this process.
bool has_matrix_products();

// Whether they may use it; initially they may.
void enable_matrix_products(bool is_enabled);

// The number of products that oneDNN computed in this process.
uint64_t matrix_product_runs();

// out = left · right, by oneDNN or MKL, as `at::mm` selects it.
void multiply_into(at::Tensor& out, const at::Tensor& left, const at::Tensor& right);

}  // namespace cresset
