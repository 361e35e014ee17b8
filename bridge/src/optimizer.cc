#include "cresset-bridge/src/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty_like.h>

namespace cresset {

std::unique_ptr<Group> new_group(const at::Tensor& step) { return std::make_unique<Group>(step); }

void Group::add(const at::Tensor& parameter, const at::Tensor& first, const at::Tensor& second) {
  parameters_.push_back(parameter);
  first_.push_back(first);
  second_.push_back(second);
}

Group::Active Group::active() const {
  Active active;
  const auto count = parameters_.size();
  for (auto* list : {&active.parameters, &active.gradients, &active.first, &active.second, &active.steps}) {
    list->reserve(count);
  }
  for (size_t i = 0; i < count; ++i) {
    auto gradient = parameters_[i].grad();
    if (!gradient.defined()) continue;
    // The CPU kernels walk raw memory and ignore strides: a gradient laid out otherwise would update the wrong weights.
    if (gradient.strides() != parameters_[i].strides()) gradient = at::empty_like(parameters_[i]).copy_(gradient);
    active.parameters.push_back(parameters_[i]);
    active.gradients.push_back(std::move(gradient));
    active.first.push_back(first_[i]);
    active.second.push_back(second_[i]);
    active.steps.push_back(step_);
  }
  return active;
}

void Group::adam_step(double lr, double beta1, double beta2, double eps, double weight_decay) {
  at::NoGradGuard no_grad;
  auto a = active();
  step_.add_(1);
  at::_fused_adam_(a.parameters, a.gradients, a.first, a.second, {}, a.steps, lr, beta1, beta2, weight_decay, eps,
                   /*amsgrad=*/false, /*maximize=*/false);
}

void Group::sgd_step(double lr, double momentum, double weight_decay) {
  at::NoGradGuard no_grad;
  auto a = active();
  step_.add_(1);
  // Without momentum the kernel takes no buffers. With it, buffers that start at zero are what the first step would make.
  at::_fused_sgd_(a.parameters, a.gradients, momentum == 0 ? at::TensorList{} : at::TensorList(a.first), weight_decay,
                  momentum, lr, /*dampening=*/0, /*nesterov=*/false, /*maximize=*/false, /*is_first_step=*/false);
}

void Group::clear_gradients() {
  // Dropped rather than zeroed: the next backward pass then stores its gradients instead of adding to old ones.
  for (auto& parameter : parameters_) parameter.mutable_grad().reset();
}

}  // namespace cresset
