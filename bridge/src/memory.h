// The memory of tensors that nobody else holds.
#pragma once
#include <ATen/core/Tensor.h>

namespace cresset {

// Where the values of a float32 tensor on the CPU stand, one after the other; null if it is no such tensor, or if anything
// but `tensor` holds it or shares its memory.
float* sole_floats(const at::Tensor& tensor);

}  // namespace cresset
