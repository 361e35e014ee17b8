// The tensors that our loops support.
#pragma once
#include <ATen/core/Tensor.h>

namespace cresset {

// Whether it is a contiguous float32 tensor on the CPU.
inline bool is_plain(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

}  // namespace cresset
