#include "cresset-bridge/src/memory.h"

namespace cresset {

float* sole_floats(const at::Tensor& tensor) {
  const bool is_plain = tensor.defined() && tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat &&
                        tensor.is_contiguous() && !tensor.requires_grad();
  if (!is_plain || tensor.use_count() != 1 || tensor.storage().use_count() != 1) {
    return nullptr;
  }
  return tensor.mutable_data_ptr<float>();
}

std::unique_ptr<at::Tensor> channels_last(const at::Tensor& tensor) {
  if (tensor.dim() != 4) return std::make_unique<at::Tensor>(tensor);
  return std::make_unique<at::Tensor>(tensor.contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace cresset
