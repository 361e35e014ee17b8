// libtorch's fused optimizer kernels: one call for all parameters, instead of several operations a parameter.
#pragma once
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "rust/cxx.h"

namespace cresset {

// Parameters that are updated together, with their state. All tensors are shared with the caller.
class Group {
 public:
  explicit Group(at::Tensor step) : step_(std::move(step)) {}
  // `first` and `second` are the optimizer's state of `parameter` (exp_avg and exp_avg_sq; momentum buffer and nothing).
  void add(const at::Tensor& parameter, const at::Tensor& first, const at::Tensor& second);
  void adam_step(double lr, double beta1, double beta2, double eps, double weight_decay);
  void sgd_step(double lr, double momentum, double weight_decay);
  void clear_gradients();

 private:
  // The parameters that have a gradient, in parallel lists.
  struct Active {
    std::vector<at::Tensor> parameters, gradients, first, second, steps;
  };
  Active active() const;

  at::Tensor step_;
  std::vector<at::Tensor> parameters_, first_, second_;
};

std::unique_ptr<Group> new_group(const at::Tensor& step);

}  // namespace cresset
