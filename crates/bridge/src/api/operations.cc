#include "cresset-bridge/src/api/operations.h"

#include <sstream>

#include <torch/csrc/jit/api/function_impl.h>

namespace cresset {
namespace {

// The namespace of classes implemented in C++.
const std::string kOwnClasses = "__torch__.torch.classes.";

}  // namespace

Operations::Operations(const std::string& allowed) {
  std::istringstream lines(allowed);
  for (std::string name; std::getline(lines, name);) allowed_.insert(name);
}

void Operations::look(const torch::jit::CompilationUnit& unit) {
  auto functions = unit.get_functions();
  for (; functions_ < functions.size(); ++functions_) {
    auto* function = functions[functions_];
    auto name = function->qualname().qualifiedName();
    if (auto* made_of_graph = torch::jit::tryToGraphFunction(*function)) {
      look(made_of_graph->graph()->block(), name);
    } else {
      note(name, name);
    }
  }
}

void Operations::look(torch::jit::Block* block, const std::string& method) {
  for (auto* node : block->nodes()) look(node, method);
}

void Operations::look(torch::jit::Node* node, const std::string& method) {
  note(method, node->kind().toQualString());
  for (auto* inner : node->blocks()) look(inner, method);
  for (auto name : node->attributeNames()) {
    if (node->kindOf(name) == torch::jit::AttributeKind::g) look(node->g(name)->block(), method);
    if (node->kindOf(name) == torch::jit::AttributeKind::gs) {
      for (const auto& graph : node->gs(name)) look(graph->block(), method);
    }
  }
  if (node->kind() != c10::prim::CallMethod && node->kind() != c10::prim::CreateObject) return;
  const auto& type = node->kind() == c10::prim::CallMethod ? node->input(0)->type() : node->output()->type();
  if (auto of_class = type->cast<c10::ClassType>(); of_class && of_class->name()) {
    auto name = of_class->name()->qualifiedName();
    if (name.rfind(kOwnClasses, 0) == 0) note(method, name);
  }
}

void Operations::note_type(const c10::Type& type) {
  if (const auto* of_class = type.castRaw<c10::ClassType>()) {
    auto name = of_class->name() ? of_class->name()->qualifiedName() : "";
    if (name.rfind(kOwnClasses, 0) == 0) note("", name);
    return;
  }
  for (const auto& inner : type.containedTypes()) note_type(*inner);
}

void Operations::note(const std::string& method, const std::string& kind) {
  ++counts_[{method, kind}];
  is_refused_ |= !is_allowed(kind);
}

}  // namespace cresset
