#include "cresset-bridge/src/kernels/compiled.h"

#include <unordered_map>

#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/frozen_conv_folding.h>
#include <torch/csrc/jit/passes/frozen_ops_to_mkldnn.h>

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"
#include "cresset-bridge/src/kernels/linear_chains.h"

namespace cresset {
namespace {

using torch::jit::Block;
using torch::jit::Value;

bool is_constant_tensor(const Value* value) {
  return value->node()->kind() == c10::prim::Constant && value->type()->isSubtypeOf(*c10::TensorType::get());
}

// Replaces attribute reads by constants, for attributes of `known` objects: the module and, recursively, its submodules.
// Inserts either the tensors, which share the module's memory, or all other values except objects that are not modules,
// such as the weights of quantized layers.
void insert_attributes(Block* block, std::unordered_map<const Value*, at::IValue>& known, bool tensors) {
  for (auto at = block->nodes().begin(); at != block->nodes().end();) {
    auto* node = *at++;
    for (auto* inner : node->blocks()) insert_attributes(inner, known, tensors);
    if (node->kind() != c10::prim::GetAttr) continue;
    auto object = known.find(node->input());
    if (object == known.end()) continue;
    auto value = object->second.toObjectRef().getAttr(node->s(c10::attr::name));
    if (value.isModule()) {
      known.emplace(node->output(), value);
      continue;
    }
    if (value.isTensor() != tensors) continue;
    torch::jit::WithInsertPoint before(node);
    if (tensors && value.toTensor().defined()) value = value.toTensor().detach();
    if (auto constant = torch::jit::tryInsertConstant(*block->owningGraph(), value)) {
      node->output()->replaceAllUsesWith(*constant);
      node->destroy();
    }
  }
}

// Whether the method modifies the module: it sets attributes, or writes to tensors of the module.
bool changes_module(Block* block) {
  for (auto* node : block->nodes()) {
    if (node->kind() == c10::prim::SetAttr) return true;
    const auto* schema = node->maybeSchema();
    for (size_t i = 0; schema && schema->is_mutable() && i < node->inputs().size(); ++i) {
      if (schema->is_mutable({c10::SchemaArgType::input, i}) && is_constant_tensor(node->input(i))) return true;
    }
    for (auto* inner : node->blocks()) {
      if (changes_module(inner)) return true;
    }
  }
  return false;
}

// Converts the weights of 2d convolutions to channels last, and counts them; their outputs then are channels last, too.
// libtorch computes a single small image as a matrix product. With channels last, it copies pixels in runs of all channels
// instead of three.
int lay_out_kernels(Block* block) {
  int count = 0;
  for (auto* node : block->nodes()) {
    for (auto* inner : node->blocks()) count += lay_out_kernels(inner);
    if (node->kind() != c10::aten::conv2d && node->kind() != c10::aten::_convolution) continue;
    if (!is_constant_tensor(node->input(1))) continue;
    const auto kernel = torch::jit::toIValue(node->input(1))->toTensor();
    if (kernel.dim() != 4 || kernel.scalar_type() != at::kFloat) continue;
    torch::jit::WithInsertPoint before(node);
    const auto laid_out = kernel.contiguous(at::MemoryFormat::ChannelsLast);
    node->replaceInput(1, block->owningGraph()->insertConstant(laid_out));
    ++count;
  }
  return count;
}

}  // namespace

std::unique_ptr<at::Tensor> Compiled::run(const at::Tensor& input) const {
  c10::InferenceMode guard;
  torch::jit::Stack stack;
  stack.reserve(2);
  stack.emplace_back(module_._ivalue());
  stack.emplace_back(input);
  // The rest of a method's executor, which records shapes and looks up plans for them, gains nothing on a CPU.
  torch::jit::InterpreterState(code_).run(stack);
  return std::make_unique<at::Tensor>(std::move(stack.back()).toTensor());
}

std::unique_ptr<Compiled> compile(const ScriptModule& module, rust::Str method) {
  return std::make_unique<Compiled>(module.module_, inlined(module.module_.get_method(std::string(method))));
}

std::unique_ptr<Compiled> compile_folded(const ScriptModule& module, rust::Str method, bool in_blocks) {
  auto graph = inlined(module.module_.get_method(std::string(method)));
  const auto insert = [&](bool tensors) {
    std::unordered_map<const Value*, at::IValue> known{{graph->inputs().at(0), module.module_._ivalue()}};
    insert_attributes(graph->block(), known, tensors);
  };
  insert(false);
  // Removes operations that are only needed in training, such as counting batches. If the tensors were already constants,
  // this pass would remove any write to them as dead code.
  torch::jit::ConstantPropagation(graph);
  insert(true);
  if (changes_module(graph->block())) return nullptr;
  torch::jit::ConstantPropagation(graph);
  torch::jit::FoldFrozenConvBatchnorm(graph);
  const auto kernels = lay_out_kernels(graph->block());
  const auto chains = join_linear_layers(graph->block());
  if (kernels == 0 && (in_blocks || chains == 0)) return nullptr;
  // Also removes the original weights and layers, whose memory must not be kept.
  torch::jit::EliminateDeadCode(graph);
  if (in_blocks) {
    torch::jit::ConvertFrozenOpsToMKLDNN(graph);
    torch::jit::EliminateDeadCode(graph);
  }
  return std::make_unique<Compiled>(module.module_, std::move(graph));
}

std::unique_ptr<at::Tensor> scaled(const at::Tensor& raw, const at::Tensor& offset, const at::Tensor& scale,
                                   rust::Slice<const int64_t> sizes) {
  c10::InferenceMode guard;
  std::vector<int64_t> shape{raw.size(0)};
  shape.insert(shape.end(), sizes.begin(), sizes.end());
  const auto floats = raw.to(at::kFloat).contiguous();
  auto result = at::empty(shape, floats.options());
  const auto width = shape[0] == 0 ? 0 : result.numel() / shape[0];
  const auto fits = [&](const at::Tensor& of) { return of.numel() == 1 || of.numel() == width || shape[0] == 0; };
  TORCH_CHECK(floats.numel() == result.numel() && fits(offset) && fits(scale), "the input has a different number of features");
  // One pass instead of two operations, which for a single row take longer to dispatch than to compute.
  const auto* from = floats.const_data_ptr<float>();
  const auto *offsets = offset.const_data_ptr<float>(), *scales = scale.const_data_ptr<float>();
  auto* to = result.mutable_data_ptr<float>();
  if (offset.numel() == 1 && scale.numel() == 1) {
    const auto o = offsets[0], s = scales[0];
    for (int64_t i = 0; i < result.numel(); ++i) to[i] = (from[i] - o) / s;
    return std::make_unique<at::Tensor>(std::move(result));
  }
  const int64_t each_offset = offset.numel() > 1, each_scale = scale.numel() > 1;
  for (int64_t row = 0; row < shape[0]; ++row, from += width, to += width) {
    for (int64_t i = 0; i < width; ++i) to[i] = (from[i] - offsets[i * each_offset]) / scales[i * each_scale];
  }
  return std::make_unique<at::Tensor>(std::move(result));
}

}  // namespace cresset
