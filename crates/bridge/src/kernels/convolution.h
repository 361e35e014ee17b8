// Convolutions of small pictures in bfloat16, with the gradient of the weights as one product of matrices.
#pragma once
#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

namespace cresset {

// Whether the processor multiplies matrices of bfloat16 by instructions of its own (Intel's AMX).
bool multiplies_bfloat16_tiles();

// Convolves (N, channels, height, width) as autocast to bfloat16 would; null where libtorch's own operation is to do it.
std::unique_ptr<at::Tensor> convolve(const at::Tensor& pictures, const at::Tensor& weight, std::int64_t stride, std::int64_t padding);

}  // namespace cresset
