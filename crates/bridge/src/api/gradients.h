// Operations on the gradients of all parameters at once.
#pragma once
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

namespace cresset {

class Gradients {
 public:
  void add_parameter(const at::Tensor& parameter) { parameters_.push_back(parameter); }
  // The Euclidean norm of all gradients as one vector, a float32 scalar on their device; zero without gradients.
  std::unique_ptr<at::Tensor> norm() const;
  void scale(const at::Tensor& factor) const;
  void clear();

 private:
  std::vector<at::Tensor> present() const;

  std::vector<at::Tensor> parameters_;
};

std::unique_ptr<Gradients> new_gradients();

}  // namespace cresset
