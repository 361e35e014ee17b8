// The memory of tensors, and of the process.
#pragma once
#include <memory>

#include <ATen/core/Tensor.h>

namespace cresset {

// Where the values of a float32 tensor on the CPU stand, one after the other; null if it is no such tensor, or if anything
// but `tensor` holds it or shares its memory.
float* sole_floats(const at::Tensor& tensor);

// A tensor (N, channels, height, width) with the channels of a place side by side; any other as it is.
std::unique_ptr<at::Tensor> channels_last(const at::Tensor& tensor);

// A copy in memory that is not swapped out, from which a GPU copies by itself.
std::unique_ptr<at::Tensor> pinned(const at::Tensor& tensor);

// Lets the process keep freed memory, up to 64 MiB of it, for the next use.
void keep_freed_memory();

}  // namespace cresset
