// bfloat16 convolutions of small images, with the weight gradient as one matrix product.
#pragma once
#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

namespace cresset {

// Whether the CPU has bfloat16 matrix instructions (Intel's AMX).
bool multiplies_bfloat16_tiles();

// Convolves (N, channels, height, width) like autocast to bfloat16; null where libtorch's operation must be used.
std::unique_ptr<at::Tensor> convolve(const at::Tensor& pictures, const at::Tensor& weight, std::int64_t stride, std::int64_t padding);

}  // namespace cresset
