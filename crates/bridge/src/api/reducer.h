// Averages the gradients of the processes of a group while the backward pass goes on: c10d's Reducer, the engine of
// PyTorch's DistributedDataParallel.
#pragma once
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "cresset-bridge/src/api/process_group.h"

namespace c10d {
class Reducer;
}

namespace cresset {

class Reducer {
 public:
  explicit Reducer(const ProcessGroup& group);
  ~Reducer();

  void add_parameter(const at::Tensor& parameter) { parameters_.push_back(parameter); }
  // Checks that all processes have the same parameters, and gives them the values of process 0. Gradients are sent when
  // so many bytes of them have come together.
  void begin(int64_t bucket_bytes);
  // Makes ready for a forward pass whose backward pass ends with averaged gradients.
  void prepare() const;

 private:
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
  std::vector<at::Tensor> parameters_;
  std::shared_ptr<c10d::Reducer> reducer_;
};

std::unique_ptr<Reducer> new_reducer(const ProcessGroup& group);

// The sum of `tensor` over the group, through which gradients flow: theirs are summed too.
std::unique_ptr<at::Tensor> all_reduce_with_grad(const ProcessGroup& group, const at::Tensor& tensor);

}  // namespace cresset
