// The memory of tensors and of the process.
#pragma once
#include <memory>

#include <ATen/core/Tensor.h>

namespace cresset {

// Pointer to the values of a contiguous float32 tensor on the CPU; null for any other tensor, or if the tensor or its
// memory is shared.
float* sole_floats(const at::Tensor& tensor);

// Converts a tensor (N, channels, height, width) to channels last; returns any other tensor as it is.
std::unique_ptr<at::Tensor> channels_last(const at::Tensor& tensor);

// A copy in pinned memory, from which a GPU can copy asynchronously.
std::unique_ptr<at::Tensor> pinned(const at::Tensor& tensor);

// Lets the process keep up to 64 MiB of freed memory for reuse.
void keep_freed_memory();

}  // namespace cresset
