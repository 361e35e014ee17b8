// Batch normalization of images in training, with an optional ReLU.
#pragma once
#include <memory>

#include <ATen/core/Tensor.h>

// The parameters and running statistics of a batch normalization.
struct BatchNorm;

namespace cresset {

// Normalizes (N, channels, height, width), applies ReLU if requested, and updates the running statistics; null where libtorch's
// operations must be used.
std::unique_ptr<at::Tensor> batch_norm(const at::Tensor& pictures, const BatchNorm& norm);

}  // namespace cresset
