#include "cresset-bridge/src/api/reducer.h"

#include <algorithm>

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

namespace cresset {
namespace {

// Broadcast bucket size, as in DistributedDataParallel.
constexpr size_t kBroadcastBytes = 250 * 1024 * 1024;

at::Tensor sum_of(c10d::ProcessGroup& group, const at::Tensor& tensor) {
  std::vector<at::Tensor> tensors{tensor.contiguous().clone()};
  group.allreduce(tensors)->wait();
  return tensors[0];
}

struct Summed : torch::autograd::Function<Summed> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& tensor,
                            const c10::intrusive_ptr<c10d::ProcessGroup>& group) {
    context->saved_data["group"] = group;
    return sum_of(*group, tensor);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto group = context->saved_data["group"].toCustomClass<c10d::ProcessGroup>();
    return {sum_of(*group, gradients[0]), at::Tensor()};
  }
};

}  // namespace

Reducer::Reducer(const ProcessGroup& group) : group_(group.group()) {}

Reducer::~Reducer() = default;

std::unique_ptr<Reducer> new_reducer(const ProcessGroup& group) { return std::make_unique<Reducer>(group); }

void Reducer::begin(int64_t bucket_bytes) {
  c10d::verify_params_across_processes(group_, parameters_, {});
  std::vector<at::Tensor> values;
  for (const auto& parameter : parameters_) values.push_back(parameter.detach());
  c10d::broadcast_coalesced(group_, values, kBroadcastBytes, 0);

  const std::vector<bool> sparse(parameters_.size(), false);
  const auto first_bytes = std::min<int64_t>(c10d::kDefaultFirstBucketBytes, bucket_bytes);
  const std::vector<size_t> limits{static_cast<size_t>(first_bytes), static_cast<size_t>(bucket_bytes)};
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(parameters_, limits, sparse));
  // The gradients of the last layers are ready first.
  std::reverse(buckets.begin(), buckets.end());
  // Gradients as views of the buckets would save a copy, but could not be reset between steps, as is done here.
  reducer_ = std::make_shared<c10d::Reducer>(
      parameters_, std::move(buckets), group_, sparse, bucket_bytes, /*find_unused_parameters=*/false,
      /*gradient_as_bucket_view=*/false, std::unordered_map<size_t, std::string>{}, first_bytes,
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false, std::vector<int64_t>{});
}

void Reducer::prepare() const {
  if (reducer_->should_rebuild_buckets()) reducer_->rebuild_buckets();
  reducer_->prepare_for_forward();
  reducer_->prepare_for_backward({});
}

std::unique_ptr<at::Tensor> all_reduce_with_grad(const ProcessGroup& group, const at::Tensor& tensor) {
  return std::make_unique<at::Tensor>(Summed::apply(tensor, group.group()));
}

}  // namespace cresset
