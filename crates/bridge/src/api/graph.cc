#include "cresset-bridge/src/api/graph.h"

#include <algorithm>
#include <limits>
#include <set>

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/operator.h>

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"
#include "cresset-bridge/src/api/script.h"

namespace cresset {

using at::IValue;
using torch::jit::Block;
using torch::jit::Node;
namespace prim = c10::prim;

namespace {

// Limits for a model that would never terminate.
constexpr size_t kMostSteps = 1'000'000;
constexpr size_t kDeepestTracedCall = 200;

// The index of an absent tensor in a list; `ABSENT` in graph.rs.
constexpr size_t kAbsent = std::numeric_limits<size_t>::max();

// Operations that read sizes and dtypes of a tensor, but not its values.
const std::set<std::string> kReadsNoValue = {
    "aten::size",        "aten::dim",        "aten::numel",      "aten::len",           "aten::stride",
    "aten::__is__",      "aten::__isnot__",  "aten::is_complex", "aten::is_contiguous", "aten::is_floating_point",
    "prim::dtype",       "prim::device",     "prim::layout",     "prim::is_cuda",       "prim::is_cpu",
    "prim::is_nested",   "prim::is_sparse",  "prim::isinstance", "prim::is_quantized",  "prim::requires_grad",
    "aten::new_zeros",   "aten::new_ones",   "aten::new_full",   "aten::zeros_like",    "aten::ones_like",
    "aten::full_like",
};

// Calls `visit` with each tensor in a value, including those in lists and tuples.
template <typename Visit>
void each_tensor(const IValue& value, const Visit& visit) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) visit(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) visit(tensor);
  } else if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) each_tensor(element, visit);
  } else if (value.isList()) {
    for (const IValue& element : value.toListRef()) each_tensor(element, visit);
  }
}

// Whether a value is a list like the indices of `x[:, i]`: tensors, and None for a dimension that is kept.
bool is_optional_tensor_list(const IValue& value) {
  if (!value.isList() || value.toListRef().empty()) return false;
  auto elements = value.toListRef();
  return std::all_of(elements.begin(), elements.end(), [](const IValue& e) { return e.isTensor() || e.isNone(); });
}

bool is_opaque(const IValue& value) { return value.isObject() || value.isNone() || value.isDevice(); }

}  // namespace

// Interprets the graphs of a module's methods and records each operation that creates a tensor.
class Recorder {
 public:
  Recorder(Trace& trace, const torch::jit::Module& module) : trace_(trace) {
    for (const auto& named : module.named_modules()) layers_[named.value._ivalue().get()] = named.name;
    for (const auto& named : module.named_parameters()) note(named.value, named.name, false);
    for (const auto& named : module.named_buffers()) note(named.value, named.name, false);
  }

  void forward(const torch::jit::Module& module, const at::Tensor& input) {
    // A clone, so that in-place operations do not modify the caller's tensor.
    auto own = input.clone();
    trace_.input_ = note(own, "", true);
    auto result = call(module.get_method("forward").function(), {module._ivalue(), own});
    TORCH_CHECK(result.isTensor(), "forward must return one tensor, not ", result.tagKind());
    trace_.output_ = id(result.toTensor());
  }

 private:
  using Values = std::unordered_map<const torch::jit::Value*, IValue>;

  IValue call(torch::jit::Function& function, const std::vector<IValue>& arguments) {
    TORCH_CHECK(++depth_ < kDeepestTracedCall, "the method calls of the model are nested too deeply");
    Values values;
    auto graph = torch::jit::toGraphFunction(function).graph();
    TORCH_CHECK(graph->inputs().size() == arguments.size(), "the method ", function.name(), " takes ",
                graph->inputs().size(), " arguments but received ", arguments.size());
    bind(graph->inputs(), arguments, values);
    auto outputs = run(graph->block(), values);
    --depth_;
    return outputs.at(0);
  }

  size_t note(const at::Tensor& tensor, const std::string& name, bool depends_on_input) {
    trace_.values_.push_back({tensor, name, depends_on_input});
    used_.push_back({tensor, version(tensor)});
    return ids_[tensor.unsafeGetTensorImpl()] = trace_.values_.size() - 1;
  }

  // The index of a tensor that is used now. An unrecorded tensor is a constant of the code.
  size_t id(const at::Tensor& tensor) {
    auto known = ids_.find(tensor.unsafeGetTensorImpl());
    if (known == ids_.end()) return note(tensor, "", false);
    if (is_as_noted(known->second)) return known->second;
    const auto& value = trace_.values_[known->second];
    TORCH_CHECK(value.name.empty() && !value.depends_on_input && !written_.count(memory(tensor)), at_layer(),
                "a tensor is used after it was changed in place through another view of it");
    return note_constant(tensor);
  }

  // Stores a copy, which keeps the current values.
  size_t note_constant(const at::Tensor& tensor) {
    auto number = note(tensor, "", false);
    trace_.values_[number].tensor = tensor.clone();
    return number;
  }

  bool is_as_noted(size_t number) const { return used_[number].version == version(used_[number].tensor); }

  static const void* memory(const at::Tensor& tensor) { return tensor.storage().unsafeGetStorageImpl(); }

  static uint32_t version(const at::Tensor& tensor) {
    return tensor.is_inference() ? 0 : tensor.unsafeGetTensorImpl()->version_counter().current_version();
  }

  std::string at_layer() const { return layer_.empty() ? "" : "in the layer " + layer_ + ": "; }

  std::vector<IValue> run(Block* block, Values& values) {
    for (Node* node : block->nodes()) {
      TORCH_CHECK(++steps_ < kMostSteps, "the model executes more than ", kMostSteps, " steps");
      step(node, values);
    }
    return gather(block->outputs(), values);
  }

  static std::vector<IValue> gather(at::ArrayRef<torch::jit::Value*> wanted, const Values& values) {
    std::vector<IValue> gathered;
    for (const auto* value : wanted) gathered.push_back(values.at(value));
    return gathered;
  }

  static void bind(at::ArrayRef<torch::jit::Value*> names, at::ArrayRef<IValue> found, Values& values) {
    for (size_t i = 0; i < names.size(); ++i) {
      values.erase(names[i]);
      values.emplace(names[i], found.at(i));
    }
  }

  void step(Node* node, Values& values) {
    switch (node->kind()) {
      case prim::Constant:
        if (auto constant = torch::jit::toIValue(node->output())) bind(node->outputs(), {*constant}, values);
        return;
      case prim::GetAttr:
        bind(node->outputs(), {values.at(node->input()).toObjectRef().getAttr(node->s(c10::attr::name))}, values);
        return;
      case prim::If: {
        auto* taken = node->blocks()[values.at(node->input()).toBool() ? 0 : 1];
        bind(node->outputs(), run(taken, values), values);
        return;
      }
      case prim::Loop:
        return loop(node, values);
      case prim::CallMethod:
        return call_method(node, values);
      case prim::CallFunction: {
        auto arguments = gather(node->inputs().slice(1), values);
        auto* function = node->input(0)->type()->expectRef<c10::FunctionType>().function();
        bind(node->outputs(), {call(*function, arguments)}, values);
        return;
      }
      case prim::RaiseException:
        TORCH_CHECK(false, values.at(node->input(0)).toStringRef());
      case c10::aten::warn:
        return;
      default:
        return operation(node, values);
    }
  }

  void loop(Node* node, Values& values) {
    auto* body = node->blocks()[0];
    auto most = values.at(node->input(0)).toInt();
    // The loop condition, then the loop-carried values.
    auto state = gather(node->inputs().slice(1), values);
    for (int64_t trip = 0; trip < most && state.at(0).toBool(); ++trip) {
      bind(body->inputs().slice(0, 1), {trip}, values);
      bind(body->inputs().slice(1), at::ArrayRef<IValue>(state).slice(1), values);
      state = run(body, values);
    }
    bind(node->outputs(), at::ArrayRef<IValue>(state).slice(1), values);
  }

  void call_method(Node* node, Values& values) {
    auto arguments = gather(node->inputs(), values);
    auto object = arguments.at(0).toObject();
    auto outer = layer_;
    auto layer = layers_.find(object.get());
    if (layer != layers_.end()) layer_ = layer->second;
    bind(node->outputs(), {call(object->type()->getMethod(node->s(c10::attr::name)), arguments)}, values);
    layer_ = outer;
  }

  void operation(Node* node, Values& values) {
    auto inputs = gather(node->inputs(), values);
    auto arguments = describe(node, inputs);
    bool depends = false;
    for (const auto& input : inputs) {
      each_tensor(input, [&](const at::Tensor& t) { depends |= trace_.values_[id(t)].depends_on_input; });
    }
    depends &= !kReadsNoValue.count(node->kind().toQualString());
    auto outputs = execute(node, inputs);
    note_outputs(node, outputs, std::move(arguments), depends);
    bind(node->outputs(), outputs, values);
  }

  static std::vector<IValue> execute(Node* node, std::vector<IValue> stack) {
    switch (node->kind()) {
      case prim::ListUnpack:
        return stack.at(0).toListRef().vec();
      case prim::ListConstruct: {
        c10::impl::GenericList list(node->output()->type()->expectRef<c10::ListType>().getElementType());
        for (auto& element : stack) list.push_back(std::move(element));
        return {std::move(list)};
      }
      case prim::TupleConstruct: {
        auto type = node->output()->type()->expect<c10::TupleType>();
        if (type->name()) return {c10::ivalue::Tuple::createNamed(std::move(stack), type)};
        return {c10::ivalue::Tuple::create(std::move(stack))};
      }
      default:
        if (auto* schema = node->maybeSchema(); schema && schema->is_vararg()) {
          stack.emplace_back(static_cast<int64_t>(stack.size()));
        }
        node->getOperation()(stack);
        return stack;
    }
  }

  // An operation that returns its argument, such as dropout in evaluation mode, is not recorded.
  void note_outputs(Node* node, const std::vector<IValue>& outputs, rust::Vec<TraceArgument> arguments,
                    bool depends) {
    std::string kind = node->kind().toQualString();
    rust::Vec<size_t> noted;
    bool is_new = false;
    bool has_tensors = false;
    for (const auto& output : outputs) {
      each_tensor(output, [&](const at::Tensor& tensor) {
        has_tensors = true;
        auto known = ids_.find(tensor.unsafeGetTensorImpl());
        bool is_known = known != ids_.end();
        if (is_known && is_as_noted(known->second)) {
          noted.push_back(known->second);
          return;
        }
        is_new = true;
        if (is_known && depends) written_.insert(memory(tensor));
        noted.push_back(depends ? note(tensor, "", true) : note_constant(tensor));
      });
      TORCH_CHECK(!depends || has_tensors || is_opaque(output), at_layer(), kind,
                  " makes the operations of the model depend on the values of its input, which a graph cannot represent");
    }
    if (!is_new) return;
    const auto* schema = node->maybeSchema();
    std::string overload = schema != nullptr ? schema->overload_name() : "";
    trace_.nodes_.push_back({kind, overload, layer_, std::move(arguments), std::move(noted)});
  }

  rust::Vec<TraceArgument> describe(Node* node, const std::vector<IValue>& inputs) {
    rust::Vec<TraceArgument> arguments;
    const auto* schema = node->maybeSchema();
    for (size_t i = 0; i < inputs.size(); ++i) {
      bool is_named = schema != nullptr && i < schema->arguments().size();
      auto argument = describe(inputs[i]);
      argument.name = is_named ? schema->arguments()[i].name() : "";
      arguments.push_back(std::move(argument));
    }
    return arguments;
  }

  TraceArgument describe(const IValue& value) {
    TraceArgument argument{"", ArgumentKind::Other, {}, {}, {}, ""};
    if (value.isNone()) {
      argument.kind = ArgumentKind::None;
    } else if (value.isTensor()) {
      argument.kind = value.toTensor().defined() ? ArgumentKind::Tensor : ArgumentKind::None;
      if (value.toTensor().defined()) argument.values.push_back(id(value.toTensor()));
    } else if (value.isTensorList()) {
      argument.kind = ArgumentKind::Tensors;
      for (const at::Tensor& tensor : value.toTensorVector()) argument.values.push_back(id(tensor));
    } else if (is_optional_tensor_list(value)) {
      argument.kind = ArgumentKind::OptionalTensors;
      for (const IValue& element : value.toListRef()) {
        bool is_absent = element.isNone() || !element.toTensor().defined();
        argument.values.push_back(is_absent ? kAbsent : id(element.toTensor()));
      }
    } else if (value.isBool()) {
      argument.kind = ArgumentKind::Bool;
      argument.ints.push_back(value.toBool());
    } else if (value.isInt()) {
      argument.kind = ArgumentKind::Int;
      argument.ints.push_back(value.toInt());
    } else if (value.isIntList()) {
      argument.kind = ArgumentKind::Ints;
      for (int64_t number : value.toIntVector()) argument.ints.push_back(number);
    } else if (value.isDouble()) {
      argument.kind = ArgumentKind::Float;
      argument.floats.push_back(value.toDouble());
    } else if (value.isDoubleList()) {
      argument.kind = ArgumentKind::Floats;
      for (double number : value.toDoubleVector()) argument.floats.push_back(number);
    } else if (value.isString()) {
      argument.kind = ArgumentKind::Text;
      argument.text = value.toStringRef();
    }
    return argument;
  }

  // The tensor of a value, kept so that its address is not reused, with the version at the time of recording.
  struct Used {
    at::Tensor tensor;
    uint32_t version;
  };

  Trace& trace_;
  std::vector<Used> used_;
  std::unordered_map<c10::TensorImpl*, size_t> ids_;
  // Memory that was written in place with values that depend on the input.
  std::set<const void*> written_;
  std::unordered_map<c10::ivalue::Object*, std::string> layers_;
  std::string layer_;
  size_t steps_ = 0;
  size_t depth_ = 0;
};

rust::Vec<TraceNode> Trace::take_nodes() { return std::move(nodes_); }

rust::Vec<TraceValue> Trace::values() const {
  rust::Vec<TraceValue> values;
  for (const auto& value : values_) {
    rust::Vec<int64_t> sizes;
    for (int64_t size : value.tensor.sizes()) sizes.push_back(size);
    values.push_back({value.name, value.depends_on_input, std::move(sizes)});
  }
  return values;
}

std::unique_ptr<at::Tensor> Trace::tensor(size_t value) const {
  TORCH_CHECK(value < values_.size(), "the trace has no value ", value);
  return std::make_unique<at::Tensor>(values_[value].tensor.detach());
}

std::unique_ptr<Trace> trace_forward(const ScriptModule& module, const at::Tensor& input) {
  at::NoGradGuard no_gradients;
  auto trace = std::make_unique<Trace>();
  Recorder(*trace, module.module_).forward(module.module_, input);
  return trace;
}

}  // namespace cresset
