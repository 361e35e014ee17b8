#include "cresset-bridge/src/api/recording.h"

#include <map>

#include <torch/csrc/jit/passes/fixup_trace_scope_blocks.h>
#include <torch/csrc/jit/passes/normalize_ops.h>

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"

namespace cresset {
namespace {

namespace jit = torch::jit;

// Maps each tensor of the module `value` and its submodules to a graph value in the tracer.
void introduce(jit::tracer::TracingState& state, const jit::Module& module, jit::Value* value, const std::string& prefix,
               const Values& values) {
  for (const auto& of : module.named_children()) {
    auto* child = state.graph->insertNode(state.graph->createGetAttr(value, of.name))->output();
    introduce(state, of.value, child, prefix + of.name + ".", values);
  }
  for (size_t slot = 0; slot < module.type()->numAttributes(); ++slot) {
    const auto& name = module.type()->getAttributeName(slot);
    auto tensor = values.by_name.find(prefix + name);
    if (tensor == values.by_name.end()) continue;
    state.setValue(tensor->second, state.graph->insertNode(state.graph->createGetAttr(value, name))->output());
  }
}

// The operations that read a tensor's values into the program, with their names in Python.
const std::map<std::string, std::string> kReads = {{"aten::_local_scalar_dense", "item"}, {"aten::equal", "equal"}};

// The current recording of this thread; libtorch's callbacks are plain functions.
thread_local Recording* current = nullptr;

}  // namespace

Recording::Recording(const ScriptModule& module, const Values& values, const at::Tensor& example)
    : state_(std::make_shared<jit::tracer::TracingState>()) {
  auto* self = state_->graph->insertInput(0, "self")->setType(module.module_._ivalue()->type());
  introduce(*state_, module.module_, self, "", values);
  auto* x = state_->graph->addInput("x");
  x->setType(c10::TensorType::get());
  state_->setValue(example, x);
  example_ = x;
  current = this;
  watching_ = at::addThreadLocalCallback(at::RecordFunctionCallback(&watch).needsInputs(true));
  jit::tracer::setWarn(&note);
  jit::tracer::setTracingState(state_);
}

// Also called when the forward pass has failed.
Recording::~Recording() {
  jit::tracer::setTracingState(nullptr);
  at::removeCallback(watching_);
  current = nullptr;
}

void Recording::note(const std::string& warning) {
  if (current != nullptr) current->warnings_.insert(warning);
}

std::unique_ptr<at::ObserverContext> Recording::watch(const at::RecordFunction& call) {
  auto read = kReads.find(call.name());
  if (read == kReads.end() || current == nullptr) return nullptr;
  const auto inputs = call.inputs();
  const auto depends = [](const at::IValue& input) { return current->depends_on_example(input); };
  if (std::any_of(inputs.begin(), inputs.end(), depends)) note(read->second);
  return nullptr;
}

// Whether the recording knows that a tensor was computed from the example.
bool Recording::depends_on_example(const at::IValue& value) const {
  if (!value.isTensor() || !value.toTensor().defined() || !state_->hasValue(value)) return false;
  std::set<const jit::Value*> seen;
  std::vector<const jit::Value*> pending{state_->getValue(value)};
  while (!pending.empty()) {
    const auto* next = pending.back();
    pending.pop_back();
    if (next == example_) return true;
    if (!seen.insert(next).second) continue;
    for (const auto* input : next->node()->inputs()) pending.push_back(input);
  }
  return false;
}

rust::Vec<rust::String> Recording::warnings() const {
  rust::Vec<rust::String> warnings;
  for (const auto& warning : warnings_) warnings.push_back(warning);
  return warnings;
}

void Recording::finish(ScriptModule& module, rust::Str method, const at::Tensor& output) {
  auto graph = state_->graph;
  graph->registerOutput(state_->getOutput(output, 0));
  jit::tracer::setTracingState(nullptr);
  auto& of = module.module_;
  jit::FixupTraceScopeBlocks(graph, &of);
  jit::NormalizeOps(graph);
  // A method can be saved only if its name has the prefix of the module's class.
  c10::QualifiedName name(*of.type()->name(), std::string(method.data(), method.size()));
  of.type()->addMethod(of._ivalue()->compilation_unit()->create_function(name, graph));
}

std::unique_ptr<Recording> begin_recording(const ScriptModule& module, const Values& values, const at::Tensor& example) {
  return std::make_unique<Recording>(module, values, example);
}

}  // namespace cresset
