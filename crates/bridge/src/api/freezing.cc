#include "cresset-bridge/src/api/freezing.h"

#include <set>

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/passes/frozen_graph_optimizations.h>

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"

namespace cresset {
namespace {

// Adds the tensors among a block's constants, including those in lists, to `values`, each once.
void collect(torch::jit::Block* block, std::set<const c10::TensorImpl*>& seen, Values& values) {
  for (auto* node : block->nodes()) {
    for (auto* inner : node->blocks()) collect(inner, seen, values);
    if (node->kind() != c10::prim::Constant) continue;
    auto constant = torch::jit::toIValue(node->output());
    if (!constant) continue;
    constant->visit([&](const at::IValue& value) {
      if (value.isTensor() && value.toTensor().defined() && seen.insert(value.unsafeToTensorImpl()).second) {
        values.by_name[std::to_string(seen.size())] = value.toTensor().detach();
      }
      return false;
    });
  }
}

}  // namespace

std::unique_ptr<ScriptModule> frozen(const ScriptModule& module, rust::Slice<const rust::Str> kept) {
  const auto& of = module.module_;
  TORCH_CHECK(!of.hasattr("training") || !of.is_training(), "only a module in evaluation mode can be frozen");
  std::vector<std::string> names;
  for (const auto& name : kept) names.emplace_back(name.data(), name.size());
  // Freezing removes methods from submodules that are still called, so it works on a copy.
  auto copy = of.clone();
  for (const auto& method : copy.get_methods()) inline_calls(*method.graph());
  return std::make_unique<ScriptModule>(torch::jit::freeze_module(copy, names));
}

void fold_constants(ScriptModule& module) {
  for (const auto& method : module.module_.get_methods()) {
    auto graph = method.graph();
    torch::jit::OptimizeFrozenGraph(graph);
  }
}

void constants(const ScriptModule& module, Values& values) {
  std::set<const c10::TensorImpl*> seen;
  for (const auto& of : module.module_.modules()) {
    for (const auto& method : of.get_methods()) collect(method.graph()->block(), seen, values);
  }
}

}  // namespace cresset
