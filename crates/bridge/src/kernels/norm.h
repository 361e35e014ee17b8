// Batch normalisation of pictures in training, with the rectifier behind it.
#pragma once
#include <memory>

#include <ATen/core/Tensor.h>

// What was learned of each channel, and the figures that follow the batches.
struct BatchNorm;

namespace cresset {

// Normalises (N, channels, height, width), rectifies it if wanted, and lets the running figures follow; null where libtorch's own
// operations are to do it.
std::unique_ptr<at::Tensor> batch_norm(const at::Tensor& pictures, const BatchNorm& norm);

}  // namespace cresset
