// Larger layers use the operations that autograd would run, so the bits are the same. This saves the autograd graph, the
// engine that executes it, the dispatch of each kernel (by calling at::cpu directly), and new memory for each gradient.
#include "cresset-bridge/src/kernels/perceptron.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/_log_softmax_backward_data_cpu_dispatch.h>
#include <ATen/ops/_log_softmax_cpu_dispatch.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/nll_loss_backward_cpu_dispatch.h>
#include <ATen/ops/nll_loss_forward_cpu_dispatch.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu_cpu_dispatch.h>
#include <ATen/ops/sum_cpu_dispatch.h>
#include <ATen/ops/threshold_backward_cpu_dispatch.h>
#include <c10/core/GradMode.h>

#include "cresset-bridge/src/kernels/matrix_product.h"
#include "cresset-bridge/src/kernels/packed_layers.h"
#include "cresset-bridge/src/kernels/plain.h"

namespace cresset {
namespace {

// PyTorch's ignore_index, the label of rows to be ignored; our data sets have no such rows.
constexpr int64_t kIgnoredLabel = -100;

}  // namespace

std::unique_ptr<Perceptron> new_perceptron() { return std::make_unique<Perceptron>(); }

void Perceptron::add_layer(const at::Tensor& weight, const at::Tensor& bias) {
  TORCH_CHECK(is_plain(weight) && weight.dim() == 2 && is_plain(bias) && bias.dim() == 1 && bias.size(0) == weight.size(0),
              "a layer needs a float32 weight matrix and one bias per output, on the CPU");
  TORCH_CHECK(layers_.empty() || layers_.back().outputs() == weight.size(1),
              "the input size of a layer must equal the output size of the layer before it");
  layers_.push_back({weight, bias, {}, {}});
}

double Perceptron::forward(const at::Tensor& inputs, const at::Tensor& labels) {
  at::AutoDispatchBelowADInplaceOrView no_record;
  const auto rows = checked(inputs, labels);
  labels_ = labels.contiguous();
  inputs_.assign(1, inputs.flatten(1));
  is_small_ = SmallPerceptron::suits(layers_, rows);
  if (is_small_) {
    // Created without the dispatcher, which takes longer than the allocation.
    logits_ = at::detail::empty_cpu({rows, layers_.back().outputs()}, at::kFloat);
    loss_ = at::detail::empty_cpu({}, at::kFloat);
    return *loss_.mutable_data_ptr<float>() = small_.forward(layers_, inputs_[0].contiguous(), labels_, logits_);
  }
  for (const auto& layer : layers_) {
    auto x = at::addmm(layer.bias, inputs_.back(), layer.weight.t());
    if (&layer != &layers_.back()) at::cpu::relu_(x);
    inputs_.push_back(x);
  }
  logits_ = inputs_.back();
  inputs_.pop_back();
  log_probabilities_ = at::cpu::_log_softmax(logits_, 1, false);
  std::tie(loss_, examples_) =
      at::cpu::nll_loss_forward(log_probabilities_, labels_, {}, at::Reduction::Mean, kIgnoredLabel);
  return *loss_.const_data_ptr<float>();
}

void Perceptron::backward() {
  at::AutoDispatchBelowADInplaceOrView no_record;
  for (auto& layer : layers_) {
    if (!layer.weight_gradient.defined()) {
      layer.weight_gradient = at::empty_like(layer.weight);
      layer.bias_gradient = at::empty_like(layer.bias);
    }
    layer.weight.mutable_grad() = layer.weight_gradient;
    layer.bias.mutable_grad() = layer.bias_gradient;
  }
  if (is_small_) return small_.backward(layers_);
  auto gradient = at::cpu::nll_loss_backward(at::ones({}, loss_.options()), log_probabilities_, labels_, {},
                                             at::Reduction::Mean, kIgnoredLabel, examples_);
  gradient = at::cpu::_log_softmax_backward_data(gradient, log_probabilities_, 1, at::kFloat);
  for (auto i = layers_.size(); i-- > 0;) {
    auto& layer = layers_[i];
    multiply_into(layer.weight_gradient, gradient.t(), inputs_[i]);
    at::cpu::sum_out(layer.bias_gradient, gradient, 0);
    // The layer's input is 0 where the preceding ReLU was inactive.
    if (i > 0) gradient = at::cpu::threshold_backward(at::mm(gradient, layer.weight), inputs_[i], 0);
  }
}

std::unique_ptr<at::Tensor> Perceptron::infer(const at::Tensor& inputs) const {
  const auto is_plain = inputs.device().is_cpu() && inputs.scalar_type() == at::kFloat && inputs.dim() > 1;
  if (!is_plain || at::GradMode::is_enabled() || !PackedLayers::suit(layers_)) return nullptr;
  at::AutoDispatchBelowADInplaceOrView no_record;
  const auto flat = inputs.flatten(1).contiguous();
  if (flat.size(1) != layers_.front().inputs()) return nullptr;
  return std::make_unique<at::Tensor>(PackedLayers(layers_).logits(flat));
}

// Checks the arguments and returns the number of rows.
int64_t Perceptron::checked(const at::Tensor& inputs, const at::Tensor& labels) const {
  TORCH_CHECK(!layers_.empty() && inputs.device().is_cpu() && inputs.scalar_type() == at::kFloat && inputs.dim() > 1 &&
                  inputs.size(0) > 0 && inputs.numel() == inputs.size(0) * layers_.front().inputs(),
              "inputs must be float32 on the CPU and match the input size of the first layer");
  TORCH_CHECK(labels.device().is_cpu() && labels.scalar_type() == at::kLong && labels.dim() == 1 &&
                  labels.size(0) == inputs.size(0),
              "labels must be int64 on the CPU, one per row");
  return inputs.size(0);
}

}  // namespace cresset
