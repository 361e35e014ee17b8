// An LSTM layer in training, with explicit gradient formulas.
#pragma once
#include <memory>

#include <ATen/core/Tensor.h>

struct LstmDirection;

namespace cresset {

// Maps sequences, float32 (length, N, inputs), to (length, N, 2 · hidden), both directions side by side; null where
// libtorch's operations are faster.
std::unique_ptr<at::Tensor> lstm_layer(const at::Tensor& inputs, const LstmDirection& forwards, const LstmDirection& backwards);

}  // namespace cresset
