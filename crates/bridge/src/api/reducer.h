// Averages gradients over the processes of a group during the backward pass: c10d's Reducer, the engine of PyTorch's
// DistributedDataParallel.
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
  // Checks that all processes have the same parameters, and broadcasts them from rank 0. Gradients are all-reduced in buckets
  // of this size.
  void begin(int64_t bucket_bytes);
  // Prepares a forward pass whose backward pass averages the gradients.
  void prepare() const;

 private:
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
  std::vector<at::Tensor> parameters_;
  std::shared_ptr<c10d::Reducer> reducer_;
};

std::unique_ptr<Reducer> new_reducer(const ProcessGroup& group);

// All-reduces `tensor` over the group by sum, differentiably: the backward pass all-reduces the gradients.
std::unique_ptr<at::Tensor> all_reduce_with_grad(const ProcessGroup& group, const at::Tensor& tensor);

}  // namespace cresset
