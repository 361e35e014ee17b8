#include "cresset-bridge/src/api/optimizer.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adagrad.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty_like.h>

#include "cresset-bridge/src/kernels/adam.h"
#include "cresset-bridge/src/kernels/plain.h"
#include "cresset-bridge/src/kernels/subnormals.h"

namespace cresset {
namespace {

// The largest number of parameters for which one core is faster than libtorch's parallel kernel.
constexpr int64_t kFew = int64_t{1} << 16;

// A fused Adam step whose learning rate is a number or a tensor.
template <typename Rate>
using Kernel = void (*)(at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList,
                        Rate, double, double, double, double, bool, bool, const std::optional<at::Tensor>&,
                        const std::optional<at::Tensor>&);

template <typename Rate>
Kernel<Rate> adam(bool decoupled) {
  return decoupled ? static_cast<Kernel<Rate>>(at::_fused_adamw_) : static_cast<Kernel<Rate>>(at::_fused_adam_);
}

}  // namespace

std::unique_ptr<Group> new_group(const at::Tensor& step) { return std::make_unique<Group>(step); }

void Group::add(const at::Tensor& parameter, const at::Tensor& first, const at::Tensor& second) {
  parameters_.push_back(parameter);
  first_.push_back(first);
  second_.push_back(second);
}

void Group::read_from(const at::Tensor& lr, const at::Tensor& skip) {
  lr_ = lr;
  skip_ = skip;
}

void Group::select(bool small_adam, bool flush_subnormals) {
  small_adam_ = small_adam;
  flush_subnormals_ = flush_subnormals;
}

Group::Active Group::begin() {
  Active active;
  const auto count = parameters_.size();
  for (auto* list : {&active.parameters, &active.gradients, &active.first, &active.second, &active.steps}) {
    list->reserve(count);
  }
  for (size_t i = 0; i < count; ++i) {
    auto gradient = parameters_[i].grad();
    if (!gradient.defined()) continue;
    // The CPU kernels ignore strides: a gradient with other strides would update the wrong weights.
    if (gradient.strides() != parameters_[i].strides()) gradient = at::empty_like(parameters_[i]).copy_(gradient);
    active.parameters.push_back(parameters_[i]);
    active.gradients.push_back(std::move(gradient));
    active.first.push_back(first_[i]);
    active.second.push_back(second_[i]);
    active.steps.push_back(step_);
  }
  if (!active.parameters.empty()) {
    step_.add_(1);
    if (skip_) step_.sub_(*skip_);
  }
  return active;
}

bool Group::adam_step(double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled) {
  at::NoGradGuard no_grad;
  if (small_adam_ && adam_of_few(lr, beta1, beta2, eps, weight_decay, decoupled)) return true;
  auto a = begin();
  if (a.parameters.empty()) return false;
  const FlushedSubnormals flushed(flushing(at::get_num_threads()));
  const auto step = [&](auto kernel, const auto& rate) {
    kernel(a.parameters, a.gradients, a.first, a.second, {}, a.steps, rate, beta1, beta2, weight_decay, eps,
           /*amsgrad=*/false, /*maximize=*/false, {}, skip_);
  };
  lr_ ? step(adam<const at::Tensor&>(decoupled), *lr_) : step(adam<double>(decoupled), lr);
  return false;
}

bool Group::adam_of_few(double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled) {
  if (!is_plain(step_)) return false;
  int64_t count = 0;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto &parameter = parameters_[i], &gradient = parameter.grad();
    if (!gradient.defined()) continue;
    count += parameter.numel();
    if (count > kFew || !is_plain(parameter) || !is_plain(gradient) || !is_plain(first_[i]) || !is_plain(second_[i])) return false;
  }
  if (count == 0) return false;
  if (skip_ && *skip_->const_data_ptr<float>() == 1) return true;
  if (lr_) lr = *lr_->const_data_ptr<float>();
  const auto number = *step_.mutable_data_ptr<float>() += 1;
  const FlushedSubnormals flushed(flushing(1));
  const AdamStep step{lr, beta1, beta2, eps, weight_decay, decoupled, number};
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto& gradient = parameters_[i].grad();
    if (!gradient.defined()) continue;
    update_by_adam(step, parameters_[i].numel(), parameters_[i].mutable_data_ptr<float>(), gradient.const_data_ptr<float>(),
                   first_[i].mutable_data_ptr<float>(), second_[i].mutable_data_ptr<float>());
  }
  return true;
}

void Group::sgd_step(double lr, double momentum, bool nesterov, double weight_decay) {
  at::NoGradGuard no_grad;
  auto a = begin();
  if (a.parameters.empty()) return;
  const FlushedSubnormals flushed(flushing(at::get_num_threads()));
  // Without momentum the kernel takes no buffers. With momentum, buffers initialized to zero are what the first step expects.
  const auto buffers = momentum == 0 ? at::TensorList{} : at::TensorList(a.first);
  const auto step = [&](const auto& rate) {
    at::_fused_sgd_(a.parameters, a.gradients, buffers, weight_decay, momentum, rate, /*dampening=*/0, nesterov,
                    /*maximize=*/false, /*is_first_step=*/false, {}, skip_);
  };
  lr_ ? step(*lr_) : step(lr);
}

void Group::adagrad_step(double lr, double lr_decay, double eps, double weight_decay) {
  at::NoGradGuard no_grad;
  auto a = begin();
  if (a.parameters.empty()) return;
  const FlushedSubnormals flushed(flushing(at::get_num_threads()));
  const auto step = [&](const auto& rate) {
    at::_fused_adagrad_(a.parameters, a.gradients, a.first, a.steps, rate, lr_decay, weight_decay, eps,
                        /*maximize=*/false, {}, skip_);
  };
  lr_ ? step(*lr_) : step(lr);
}

// There is no fused kernel, so each operation is applied to all parameters at once.
void Group::rmsprop_step(double lr, double alpha, double momentum, double eps, double weight_decay) {
  at::NoGradGuard no_grad;
  TORCH_CHECK(!lr_, "RMSprop has no kernel that reads the learning rate from the device");
  auto a = begin();
  if (a.parameters.empty()) return;
  const FlushedSubnormals flushed(flushing(at::get_num_threads()));
  if (weight_decay != 0) a.gradients = at::_foreach_add(a.gradients, a.parameters, weight_decay);
  at::_foreach_mul_(a.first, alpha);
  at::_foreach_addcmul_(a.first, a.gradients, a.gradients, 1 - alpha);
  auto root = at::_foreach_sqrt(a.first);
  at::_foreach_add_(root, eps);
  if (momentum == 0) {
    at::_foreach_addcdiv_(a.parameters, a.gradients, root, -lr);
    return;
  }
  at::_foreach_mul_(a.second, momentum);
  at::_foreach_addcdiv_(a.second, a.gradients, root);
  at::_foreach_add_(a.parameters, a.second, -lr);
}

}  // namespace cresset
