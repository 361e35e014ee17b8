// libtorch's fused optimizer kernels: one call for all parameters, instead of several operations per parameter.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "rust/cxx.h"

namespace cresset {

// Parameters that are updated together, with their state. All tensors are shared with the caller. Each step updates the
// parameters that have a gradient, and does nothing if none has one.
class Group {
 public:
  explicit Group(at::Tensor step) : step_(std::move(step)) {}
  // `first` and `second` are the optimizer state of `parameter` (exp_avg and exp_avg_sq; momentum buffer and unused).
  void add(const at::Tensor& parameter, const at::Tensor& first, const at::Tensor& second);
  // Makes later steps read the learning rate from `lr`, ignoring their argument, and do nothing while `skip` is 1. Both are
  // float32 scalars on the parameters' device. RMSprop does not support this.
  void read_from(const at::Tensor& lr, const at::Tensor& skip);
  // Whether Adam may use our kernel, and whether subnormal numbers are flushed to zero during a step. Both are off by default.
  void select(bool small_adam, bool flush_subnormals);
  // Returns whether our kernel performed the step.
  bool adam_step(double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled);
  void sgd_step(double lr, double momentum, bool nesterov, double weight_decay);
  void adagrad_step(double lr, double lr_decay, double eps, double weight_decay);
  void rmsprop_step(double lr, double alpha, double momentum, double eps, double weight_decay);

 private:
  // The parameters that have a gradient, in parallel lists.
  struct Active {
    std::vector<at::Tensor> parameters, gradients, first, second, steps;
  };
  // Counts the step.
  Active begin();
  // The step on one core, for few parameters, where this is faster; returns whether it was done.
  bool adam_of_few(double lr, double beta1, double beta2, double eps, double weight_decay, bool decoupled);

  // The number of threads that flush subnormal numbers to zero during a step.
  int flushing(int threads) const { return flush_subnormals_ ? threads : 0; }

  bool small_adam_ = false, flush_subnormals_ = false;
  at::Tensor step_;
  // Set by read_from.
  std::optional<at::Tensor> lr_, skip_;
  std::vector<at::Tensor> parameters_, first_, second_;
};

std::unique_ptr<Group> new_group(const at::Tensor& step);

}  // namespace cresset
