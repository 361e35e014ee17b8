// The state of libtorch's default random number generators.
#pragma once
#include <memory>

#include <ATen/core/Tensor.h>

namespace cresset {

std::unique_ptr<at::Tensor> cpu_generator_state();
void set_cpu_generator_state(const at::Tensor& state);

// The state of the generator of a CUDA device.
std::unique_ptr<at::Tensor> cuda_generator_state(int64_t device);
void set_cuda_generator_state(int64_t device, const at::Tensor& state);

}  // namespace cresset
