#include "cresset-bridge/src/kernels/linear_chains.h"

#include <set>

#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/custom_operator.h>

#include "cresset-bridge/src/kernels/packed_layers.h"
#include "cresset-bridge/src/kernels/plain.h"

namespace cresset {
namespace {

namespace jit = torch::jit;

const auto kChain = c10::Symbol::fromQualString("cresset::linear_layers");
const auto kWeights = c10::Symbol::attr("weights");
const auto kBiases = c10::Symbol::attr("biases");

// The operation that replaces a chain.
class Chain {
 public:
  explicit Chain(const std::vector<PerceptronLayer>& layers) : layers_(layers), packed_(layers) {}

  at::Tensor logits(at::Tensor x) const {
    if (is_plain(x) && x.dim() == 2 && x.size(1) == packed_.inputs()) return packed_.logits(x);
    for (const auto& layer : layers_) {
      x = at::linear(x, layer.weight, layer.bias);
      if (&layer != &layers_.back()) x = at::relu(x);
    }
    return x;
  }

 private:
  std::vector<PerceptronLayer> layers_;
  PackedLayers packed_;
};

jit::Operation operation(const jit::Node* node) {
  std::vector<PerceptronLayer> layers;
  const auto &weights = node->ts(kWeights), &biases = node->ts(kBiases);
  for (size_t i = 0; i < weights.size(); ++i) layers.push_back({weights[i], biases[i], {}, {}});
  const auto chain = std::make_shared<const Chain>(layers);
  return [chain](jit::Stack& stack) { stack.back() = chain->logits(std::move(stack.back()).toTensor()); };
}

// Undefined if the value is not a constant tensor.
at::Tensor constant(const jit::Value* value) {
  const auto known = jit::toIValue(value);
  return known && known->isTensor() ? known->toTensor() : at::Tensor();
}

std::optional<PerceptronLayer> layer_of(const jit::Node* node) {
  if (node->kind() != c10::aten::linear) return std::nullopt;
  const auto weight = constant(node->input(1)), bias = constant(node->input(2));
  const auto is_layer = weight.defined() && is_plain(weight) && weight.dim() == 2 && bias.defined() && is_plain(bias) &&
                        bias.dim() == 1 && bias.size(0) == weight.size(0);
  return is_layer ? std::optional<PerceptronLayer>({weight, bias, {}, {}}) : std::nullopt;
}

// Whether a node is a dropout in evaluation mode.
bool is_idle(const jit::Node* node) {
  if (node->kind() != c10::aten::dropout && node->kind() != c10::aten::dropout_) return false;
  const auto is_training = jit::toIValue(node->input(2));
  return is_training && is_training->isBool() && !is_training->toBool();
}

// The linear layer in the same block that is the only consumer of this layer's output after ReLU; null if there is none.
jit::Node* next_layer(const jit::Node* layer) {
  bool is_rectified = false;
  for (const auto* node = layer;;) {
    const auto& uses = node->output()->uses();
    if (uses.size() != 1 || uses[0].offset != 0 || uses[0].user->owningBlock() != layer->owningBlock()) return nullptr;
    auto* const user = uses[0].user;
    if (user->kind() == c10::aten::linear) return is_rectified ? user : nullptr;
    const auto is_rectifier = user->kind() == c10::aten::relu || user->kind() == c10::aten::relu_;
    if (!is_rectifier && !is_idle(user)) return nullptr;
    is_rectified |= is_rectifier;
    node = user;
  }
}

// Replaces a chain of nodes by one operation.
void replace(const std::vector<jit::Node*>& chain, const std::vector<PerceptronLayer>& layers) {
  std::vector<at::Tensor> weights, biases;
  for (const auto& layer : layers) weights.push_back(layer.weight), biases.push_back(layer.bias);
  auto* const joined = chain.front()->owningGraph()->create(kChain, {chain.front()->input(0)});
  joined->ts_(kWeights, std::move(weights))->ts_(kBiases, std::move(biases));
  joined->insertBefore(chain.front());
  chain.back()->output()->replaceAllUsesWith(joined->output());
}

}  // namespace

int join_linear_layers(jit::Block* block) {
  static const jit::RegisterOperators registered(
      {jit::Operator(kChain, operation, c10::AliasAnalysisKind::PURE_FUNCTION)});
  int count = 0;
  std::set<const jit::Node*> seen;
  // The new node is inserted before the current one.
  for (auto* first : block->nodes()) {
    for (auto* inner : first->blocks()) count += join_linear_layers(inner);
    std::vector<jit::Node*> chain;
    std::vector<PerceptronLayer> layers;
    for (auto* node = first; node && seen.count(node) == 0; node = next_layer(node)) {
      const auto layer = layer_of(node);
      if (!layer || (!layers.empty() && layers.back().outputs() != layer->inputs())) break;
      chain.push_back(node);
      layers.push_back(*layer);
    }
    if (chain.empty() || !PackedLayers::suit(layers)) continue;
    seen.insert(chain.begin(), chain.end());
    replace(chain, layers);
    ++count;
  }
  return count;
}

}  // namespace cresset
