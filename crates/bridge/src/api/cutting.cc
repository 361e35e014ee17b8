#include "cresset-bridge/src/api/cutting.h"

#include <set>

#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/lower_tuples.h>

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"

namespace cresset {
namespace {

namespace jit = torch::jit;
using Nodes = std::set<const jit::Node*>;

// The operations that a last layer with weights can consist of.
const std::set<std::string> kLayers = {
    "aten::linear", "aten::addmm",        "aten::matmul", "aten::mm",     "aten::_convolution",
    "aten::conv2d", "aten::conv1d",       "aten::conv3d", "aten::bilinear", "aten::convolution",
};

// Adds all nodes of a block that depend on a node in `dependent` or on `x`; returns whether there are any.
bool add_dependents(jit::Block* block, const jit::Value* x, Nodes& dependent) {
  bool any = false;
  for (auto* node : block->nodes()) {
    bool depends = false;
    for (auto* inner : node->blocks()) depends |= add_dependents(inner, x, dependent);
    for (auto* input : node->inputs()) depends |= input == x || dependent.count(input->node());
    if (depends) dependent.insert(node);
    any |= depends;
  }
  return any;
}

// Whether a value is a parameter or computed only from parameters.
bool is_of_parameters(const jit::Value* value) {
  if (value->node()->kind() == c10::prim::GetAttr) return value->type()->isSubtypeOf(*c10::TensorType::get());
  const auto inputs = value->node()->inputs();
  return std::any_of(inputs.begin(), inputs.end(), is_of_parameters);
}

// Follows the result backwards, while there is a single path, to the first layer with weights; returns its input.
jit::Value* head_input(jit::Graph& graph, const Nodes& dependent) {
  auto* x = graph.inputs().at(1);
  auto* value = graph.outputs().at(0);
  while (value != x) {
    auto* node = value->node();
    if (!dependent.count(node) || !node->blocks().empty()) return nullptr;
    jit::Value* way = nullptr;
    bool has_weights = false;
    for (auto* input : node->inputs()) {
      if (input == x || dependent.count(input->node())) {
        if (way != nullptr && way != input) return nullptr;
        way = input;
      } else {
        has_weights |= is_of_parameters(input);
      }
    }
    if (has_weights && kLayers.count(node->kind().toQualString())) return way;
    value = way;
  }
  return nullptr;
}

}  // namespace

bool cut_before_head(ScriptModule& module, rust::Str from, rust::Str to) {
  auto& of = module.module_;
  auto graph = inlined(of.get_method(std::string(from)));
  jit::LowerSimpleTuples(graph);
  Nodes dependent;
  add_dependents(graph->block(), graph->inputs().at(1), dependent);
  auto* input = head_input(*graph, dependent);
  if (input == nullptr || !input->type()->isSubtypeOf(*c10::TensorType::get())) return false;
  auto* features = graph->insert(c10::aten::flatten, {input, 1, -1});
  graph->eraseOutput(0);
  graph->registerOutput(features);
  jit::EliminateDeadCode(graph);
  c10::QualifiedName name(*of.type()->name(), std::string(to));
  of.type()->addMethod(of._ivalue()->compilation_unit()->create_function(name, graph));
  return true;
}

}  // namespace cresset
