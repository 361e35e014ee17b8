// A layer of a long short-term memory in training, with the formulas of its gradients.
#pragma once
#include <memory>

#include <ATen/core/Tensor.h>

struct LstmDirection;

namespace cresset {

// Takes sequences, float32 (length, N, inputs), and gives (length, N, 2 · hidden), both directions beside each other; null where
// libtorch's operations are the better.
std::unique_ptr<at::Tensor> lstm_layer(const at::Tensor& inputs, const LstmDirection& forwards, const LstmDirection& backwards);

}  // namespace cresset
