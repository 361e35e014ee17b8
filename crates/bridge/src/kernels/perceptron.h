// A training step of a multilayer perceptron, without autograd.
#pragma once
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "cresset-bridge/src/kernels/small_perceptron.h"

namespace cresset {

// Linear layers with ReLU between them, and the mean cross-entropy of the logits: float32, on the CPU.
class Perceptron {
 public:
  // Adds a layer: x · weightᵀ + bias. `backward` sets the gradients of these parameters.
  void add_layer(const at::Tensor& weight, const at::Tensor& bias);
  // Computes the mean loss of float32 (N, …) with labels int64 (N). Does not modify parameters or gradients.
  double forward(const at::Tensor& inputs, const at::Tensor& labels);
  // Sets the parameters' gradients from the last forward pass. They must have none yet, and the next call overwrites them.
  void backward();
  // The logits of float32 (N, …); null if libtorch's operations are faster.
  std::unique_ptr<at::Tensor> infer(const at::Tensor& inputs) const;
  // The loss of the last forward pass: float32, a scalar.
  std::unique_ptr<at::Tensor> loss() const { return std::make_unique<at::Tensor>(loss_); }
  // The logits of the last forward pass: float32 (N, classes).
  std::unique_ptr<at::Tensor> logits() const { return std::make_unique<at::Tensor>(logits_); }

 private:
  int64_t checked(const at::Tensor& inputs, const at::Tensor& labels) const;

  std::vector<PerceptronLayer> layers_;
  // From the last forward pass. The inputs of each layer, (N, inputs), are kept only for libtorch's products.
  std::vector<at::Tensor> inputs_;
  at::Tensor labels_, logits_, log_probabilities_, loss_, examples_;
  SmallPerceptron small_;
  bool is_small_ = false;
};

std::unique_ptr<Perceptron> new_perceptron();

}  // namespace cresset
