// A training step of a multilayer perceptron by its formulas, without autograd's record of it.
#pragma once
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "cresset-bridge/src/kernels/small_perceptron.h"

namespace cresset {

// Linear layers with a rectifier between each two, and the mean cross-entropy of what the last one gives: float32, on the CPU.
class Perceptron {
 public:
  // The next layer: x · weightᵀ + bias. Its gradients will be put beside these parameters.
  void add_layer(const at::Tensor& weight, const at::Tensor& bias);
  // Takes float32 (N, …) and int64 (N), and gives the mean loss. Nothing is changed by it.
  double forward(const at::Tensor& inputs, const at::Tensor& labels);
  // Puts the gradients of the last forward pass beside the parameters, which must have none. They are overwritten by the next.
  void backward();
  // The logits of float32 (N, …), where they are computed faster than by libtorch's operations; else null.
  std::unique_ptr<at::Tensor> infer(const at::Tensor& inputs) const;
  // Of the last forward pass: float32, a scalar.
  std::unique_ptr<at::Tensor> loss() const { return std::make_unique<at::Tensor>(loss_); }
  // Of the last forward pass: float32 (N, classes).
  std::unique_ptr<at::Tensor> logits() const { return std::make_unique<at::Tensor>(logits_); }

 private:
  int64_t checked(const at::Tensor& inputs, const at::Tensor& labels) const;

  std::vector<PerceptronLayer> layers_;
  // Of the last forward pass. What each layer was given, (N, inputs), is kept for libtorch's products only.
  std::vector<at::Tensor> inputs_;
  at::Tensor labels_, logits_, log_probabilities_, loss_, examples_;
  SmallPerceptron small_;
  bool is_small_ = false;
};

std::unique_ptr<Perceptron> new_perceptron();

}  // namespace cresset
