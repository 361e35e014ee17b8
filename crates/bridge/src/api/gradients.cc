#include "cresset-bridge/src/api/gradients.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

namespace cresset {

std::unique_ptr<Gradients> new_gradients() { return std::make_unique<Gradients>(); }

std::vector<at::Tensor> Gradients::present() const {
  std::vector<at::Tensor> gradients;
  gradients.reserve(parameters_.size());
  for (const auto& parameter : parameters_) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  return gradients;
}

std::unique_ptr<at::Tensor> Gradients::norm() const {
  at::NoGradGuard no_grad;
  const auto gradients = present();
  if (gradients.empty()) return std::make_unique<at::Tensor>(at::zeros({}));
  return std::make_unique<at::Tensor>(at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients, 2))));
}

void Gradients::scale(const at::Tensor& factor) const {
  at::NoGradGuard no_grad;
  const auto gradients = present();
  if (!gradients.empty()) at::_foreach_mul_(gradients, factor);
}

void Gradients::clear() {
  // Reset rather than zeroed: the next backward pass then stores its gradients instead of adding to old ones.
  for (auto& parameter : parameters_) parameter.mutable_grad().reset();
}

}  // namespace cresset
