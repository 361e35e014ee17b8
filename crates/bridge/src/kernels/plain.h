// What the loops of our own can walk.
#pragma once
#include <ATen/core/Tensor.h>

namespace cresset {

// Whether its values are floats on the CPU, one after the other.
inline bool is_plain(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

}  // namespace cresset
