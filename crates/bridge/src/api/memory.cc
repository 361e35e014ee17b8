#include "cresset-bridge/src/api/memory.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

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
  const auto last = tensor.contiguous(at::MemoryFormat::ChannelsLast);
  if (last.size(1) != 1) return std::make_unique<at::Tensor>(last);
  // With a single channel, both memory formats are the same. Later operations use the strides, which `contiguous` keeps.
  const auto height = last.size(2), width = last.size(3);
  return std::make_unique<at::Tensor>(last.as_strided(last.sizes(), {height * width, 1, width, 1}));
}

std::unique_ptr<at::Tensor> pinned(const at::Tensor& tensor) {
  return std::make_unique<at::Tensor>(tensor.pin_memory());
}

void keep_freed_memory() {
#ifdef __GLIBC__
  // The largest value that glibc accepts for the first, and twice that for the second, as glibc's dynamic threshold would set.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

}  // namespace cresset
