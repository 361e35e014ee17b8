#include "cresset-bridge/src/api/quantization.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/quantize_per_channel.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/jit/runtime/graph_iterator.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/quantization/finalize.h>
#include <torch/csrc/jit/passes/quantization/insert_observers.h>
#include <torch/csrc/jit/passes/quantization/insert_quant_dequant.h>
#include <torch/csrc/jit/passes/subgraph_rewrite.h>

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"

namespace cresset {
namespace {

namespace jit = torch::jit;

jit::Module observer(const std::string& name, at::ScalarType dtype, at::QScheme scheme) {
  jit::Module module("__torch__.cresset." + name);
  module.register_attribute("dtype", c10::IntType::get(), static_cast<int64_t>(dtype));
  module.register_attribute("qscheme", c10::QSchemeType::get(), static_cast<int64_t>(scheme));
  return module;
}

// The attribute of an observer that marks an activation followed by ReLU, so that negative values need no range.
constexpr auto RECTIFIED = "rectified";

// The minimum and maximum over all calls. Only seven of the eight bits are used: CPUs without VNNI add pairs of products in
// 16 bits, which eight bits would overflow.
jit::Module range_observer() {
  auto module = observer("RangeObserver", at::kQUInt8, at::kPerTensorAffine);
  module.register_attribute(RECTIFIED, c10::BoolType::get(), false);
  module.register_buffer("least", at::zeros({}));
  module.register_buffer("most", at::zeros({}));
  module.define(R"(
def forward(self, x: Tensor) -> Tensor:
    if not self.rectified:
        self.least = torch.minimum(self.least, torch.min(x))
    self.most = torch.maximum(self.most, torch.max(x))
    return x

def calculate_qparams(self) -> Tuple[Tensor, Tensor]:
    scale = torch.clamp((self.most - self.least) / 127., min=1e-7)
    return (scale, torch.clamp(torch.round(-self.least / scale), 0, 127).to(3))
)");
  return module;
}

// The largest absolute weight of each output; the range is symmetric.
jit::Module weight_observer() {
  auto module = observer("WeightObserver", at::kQInt8, at::kPerChannelSymmetric);
  module.register_attribute("ch_axis", c10::IntType::get(), int64_t{0});
  module.register_buffer("most", at::zeros({1}));
  module.define(R"(
def forward(self, x: Tensor) -> Tensor:
    self.most = torch.amax(torch.abs(torch.flatten(x, 1)), 1)
    return x

def calculate_qparams(self) -> Tuple[Tensor, Tensor]:
    scale = torch.clamp(self.most / 127., min=1e-7)
    return (scale, torch.zeros_like(scale).to(3))
)");
  return module;
}

// libtorch recognizes dynamic quantization by this observer's name.
jit::Module placeholder_observer() {
  auto module = observer("PlaceholderObserver", at::kQUInt8, at::kPerTensorAffine);
  module.register_attribute("is_dynamic", c10::BoolType::get(), true);
  module.define("def forward(self, x: Tensor) -> Tensor:\n    return x\n");
  return module;
}

jit::QuantType kind(bool dynamic) { return dynamic ? jit::QuantType::DYNAMIC : jit::QuantType::STATIC; }

// Marks the observers of activations whose only consumer is a ReLU, so that no integers are spent on negative values.
void spare_negatives(jit::Module& module) {
  for (auto* node : module.get_method("forward").graph()->nodes()) {
    auto is_relu = [](const jit::Use& use) { return use.user->kind() == c10::aten::relu; };
    if (node->kind() != c10::prim::CallMethod || node->inputs()[0]->node()->kind() != c10::prim::GetAttr) continue;
    auto observer = module.attr(node->inputs()[0]->node()->s(c10::attr::name)).toModule();
    const auto& uses = node->output()->uses();
    if (observer.hasattr(RECTIFIED) && !uses.empty() && std::all_of(uses.begin(), uses.end(), is_relu)) {
      observer.setattr(RECTIFIED, true);
    }
  }
}

// libtorch's patterns fuse a convolution with its ReLU only if both are modules.
void join_relu(std::shared_ptr<jit::Graph>& graph) {
  jit::SubgraphRewriter rewriter;
  rewriter.RegisterRewritePattern(R"(
graph(%x, %packed, %scale, %zero):
    %y = quantized::conv2d(%x, %packed, %scale, %zero)
    %result = aten::relu(%y)
    return (%result))",
                                  R"(
graph(%x, %packed, %scale, %zero):
    %result = quantized::conv2d_relu(%x, %packed, %scale, %zero)
    return (%result))");
  rewriter.RegisterRewritePattern(R"(
graph(%a, %b, %scale, %zero):
    %sum = quantized::add(%a, %b, %scale, %zero)
    %result = aten::relu(%sum)
    return (%result))",
                                  R"(
graph(%a, %b, %scale, %zero):
    %result = quantized::add_relu(%a, %b, %scale, %zero)
    return (%result))");
  rewriter.runOnGraph(graph);
}

}  // namespace

std::unique_ptr<ScriptModule> observed(const ScriptModule& module, bool dynamic) {
  auto copy = module.module_.clone();
  inline_calls(*copy.get_method("forward").graph());
  // Freezing folds batch normalization into the preceding convolutions.
  auto frozen = jit::freeze(copy);
  auto activation = dynamic ? placeholder_observer() : range_observer();
  jit::QConfigDict all{{"", std::make_tuple(activation, weight_observer())}};
  auto observed = jit::InsertObservers(frozen, "forward", all, true, kind(dynamic));
  spare_negatives(observed);
  return std::make_unique<ScriptModule>(observed);
}

std::unique_ptr<ScriptModule> quantized(const ScriptModule& observed, bool dynamic) {
  auto copy = observed.module_.clone();
  auto module = jit::InsertQuantDeQuant(copy, "forward", true, false, kind(dynamic));
  module = jit::Finalize(module, kind(dynamic));
  auto graph = module.get_method("forward").graph();
  jit::ConstantPropagation(graph);
  join_relu(graph);
  jit::EliminateDeadCode(graph);
  return std::make_unique<ScriptModule>(module);
}

bool uses(const ScriptModule& module, rust::Str operation) {
  auto graph = module.module_.get_method("forward").graph();
  jit::DepthFirstGraphNodeIterator nodes(graph);
  auto kind = c10::Symbol::fromQualString(std::string(operation.data(), operation.size()));
  for (auto* node = nodes.next(); node; node = nodes.next()) {
    if (node->kind() == kind) return true;
  }
  return false;
}

void put_quantized_cell(Values& values, rust::Str name, const at::Tensor& weight_ih, const at::Tensor& weight_hh,
                        const at::Tensor& bias_ih, const at::Tensor& bias_hh) {
  auto& dispatcher = c10::Dispatcher::singleton();
  auto packed = [&](const at::Tensor& weight, const at::Tensor& bias) {
    auto scale = at::clamp(std::get<0>(weight.detach().abs().max(1)) / 127., 1e-7).to(at::kDouble);
    auto integers = at::quantize_per_channel(weight.detach(), scale, at::zeros_like(scale).to(at::kLong), 0, at::kQInt8);
    jit::Stack stack;
    jit::push(stack, integers, bias.detach());
    dispatcher.findSchemaOrThrow("quantized::linear_prepack", "").callBoxed(stack);
    return stack.back();
  };
  jit::Stack stack;
  jit::push(stack, packed(weight_ih, bias_ih), packed(weight_hh, bias_hh), bias_ih.detach(), bias_hh.detach(), true);
  dispatcher.findSchemaOrThrow("quantized::make_quantized_cell_params_dynamic", "").callBoxed(stack);
  values.by_name[std::string(name.data(), name.size())] = stack.back();
}

}  // namespace cresset
