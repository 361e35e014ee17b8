// Each operation is the one that autograd would run, so the bits are the same; what is saved is the record of the forward pass,
// the engine that walks it, the dispatcher's way to each kernel (at::cpu is its end), and new memory for each gradient.
#include "cresset-bridge/src/perceptron.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/_log_softmax_backward_data_cpu_dispatch.h>
#include <ATen/ops/_log_softmax_cpu_dispatch.h>
#include <ATen/ops/addmm_cpu_dispatch.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm_cpu_dispatch.h>
#include <ATen/ops/nll_loss_backward_cpu_dispatch.h>
#include <ATen/ops/nll_loss_forward_cpu_dispatch.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu_cpu_dispatch.h>
#include <ATen/ops/sum_cpu_dispatch.h>
#include <ATen/ops/threshold_backward_cpu_dispatch.h>

namespace cresset {
namespace {

// PyTorch's mark of a row without a label; no data set of ours has such rows.
constexpr int64_t kIgnoredLabel = -100;

}  // namespace

std::unique_ptr<Perceptron> new_perceptron() { return std::make_unique<Perceptron>(); }

void Perceptron::add_layer(const at::Tensor& weight, const at::Tensor& bias) {
  TORCH_CHECK(weight.device().is_cpu() && weight.scalar_type() == at::kFloat && weight.dim() == 2,
              "a layer of a perceptron has a float32 matrix on the CPU");
  layers_.push_back({weight, bias, at::empty_like(weight.detach()), at::empty_like(bias.detach()), {}});
}

double Perceptron::forward(const at::Tensor& inputs, const at::Tensor& labels) {
  at::AutoDispatchBelowADInplaceOrView no_record;
  auto x = inputs.flatten(1);
  for (auto& layer : layers_) {
    const auto is_last = &layer == &layers_.back();
    layer.input = x;
    x = at::cpu::addmm(layer.bias, x, layer.weight.t());
    if (!is_last) at::cpu::relu_(x);
  }
  labels_ = labels;
  logits_ = x;
  log_probabilities_ = at::cpu::_log_softmax(logits_, 1, false);
  std::tie(loss_, examples_) =
      at::cpu::nll_loss_forward(log_probabilities_, labels_, {}, at::Reduction::Mean, kIgnoredLabel);
  return *loss_.const_data_ptr<float>();
}

void Perceptron::backward() {
  at::AutoDispatchBelowADInplaceOrView no_record;
  auto gradient = at::cpu::nll_loss_backward(at::ones({}, loss_.options()), log_probabilities_, labels_, {},
                                             at::Reduction::Mean, kIgnoredLabel, examples_);
  gradient = at::cpu::_log_softmax_backward_data(gradient, log_probabilities_, 1, at::kFloat);
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
    at::cpu::mm_out(layer->weight_gradient, gradient.t(), layer->input);
    at::cpu::sum_out(layer->bias_gradient, gradient, 0);
    layer->weight.mutable_grad() = layer->weight_gradient;
    layer->bias.mutable_grad() = layer->bias_gradient;
    if (layer + 1 == layers_.rend()) break;
    // What the layer was given is 0 where the rectifier before it was shut.
    gradient = at::cpu::threshold_backward(at::cpu::mm(gradient, layer->weight), layer->input, 0);
  }
}

}  // namespace cresset
