#include "cresset-bridge/src/api/embedding.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/interpreter.h>

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"

namespace cresset {
namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

const auto kEmbedding = c10::Symbol::fromQualString("aten::embedding");
const auto kBag = c10::Symbol::fromQualString("aten::embedding_bag");

c10::Symbol aten(const char* name) { return c10::Symbol::fromQualString(std::string("aten::") + name); }

// The first node that looks up vectors.
Node* lookup(Graph& graph) {
  for (auto* node : graph.nodes()) {
    if (node->kind() == kEmbedding || node->kind() == kBag) return node;
  }
  return nullptr;
}

// The sums of a bag of vectors, from the vectors one by one: (N · entries, width) as (N, entries, width), with zeros for padding.
Value* vectors_of_bag(Graph& graph, Node* bag) {
  auto mode = torch::jit::constant_as<int64_t>(bag->input(4));
  TORCH_CHECK(mode && *mode == 0, "the embedding is a bag other than a sum");
  auto *weight = bag->input(0), *indices = bag->input(1), *offsets = bag->input(2), *of_entries = bag->input(6);
  auto* vectors = graph.insert(kEmbedding, {weight, indices});
  auto padding = torch::jit::constant_as<int64_t>(bag->input(8));
  if (padding && *padding >= 0) {
    auto* is_entry = graph.insert(aten("type_as"), {graph.insert(aten("ne"), {indices, *padding}), vectors});
    vectors = graph.insert(aten("mul"), {vectors, graph.insert(aten("unsqueeze"), {is_entry, -1})});
  }
  if (!of_entries->mustBeNone()) {
    vectors = graph.insert(aten("mul"), {vectors, graph.insert(aten("unsqueeze"), {of_entries, -1})});
  }
  auto* count = graph.insert(aten("size"), {offsets, 0});
  auto* width = graph.insert(aten("size"), {weight, 1});
  auto* sizes = graph.createList(c10::IntType::get(), {count, graph.insertConstant(int64_t{-1}), width});
  return graph.insert(aten("reshape"), {vectors, graph.insertNode(sizes)->output()});
}

}  // namespace

void call_with_scaled_embedding(const ScriptModule& module, rust::Str method, const at::Tensor& input,
                                const at::Tensor& factors, Values& results) {
  auto graph = inlined(module.module_.get_method(std::string(method.data(), method.size())));
  auto* node = lookup(*graph);
  TORCH_CHECK(node != nullptr, "the model has no embedding of tokens");
  auto* factor = graph->addInput("factors");
  factor->setType(c10::TensorType::get());
  torch::jit::WithInsertPoint after(node->next());
  Value* scaled = nullptr;
  if (node->kind() == kBag) {
    scaled = graph->insert(aten("mul"), {vectors_of_bag(*graph, node), factor});
    node->output(0)->replaceAllUsesWith(graph->insert(aten("sum"), {scaled, std::vector<int64_t>{1}}));
  } else {
    scaled = graph->insert(aten("mul"), {node->output(), factor});
    node->output()->replaceAllUsesAfterNodeWith(scaled->node(), scaled);
  }
  auto* result = graph->outputs().at(0);
  graph->eraseOutput(0);
  graph->registerOutput(scaled);
  graph->registerOutput(result);
  torch::jit::Stack stack{module.module_._ivalue(), input, factors};
  torch::jit::Code code(graph, "scaled_embedding");
  torch::jit::InterpreterState(code).run(stack);
  results.by_name["0"] = stack.at(0).toTensor();
  results.by_name["1"] = stack.at(1).toTensor();
}

}  // namespace cresset
