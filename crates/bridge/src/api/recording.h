// Traces a forward pass that runs in Rust into a method of a module.
#pragma once
#include <memory>
#include <set>
#include <string>

#include <ATen/record_function.h>
#include <torch/csrc/jit/frontend/tracer.h>

#include "cresset-bridge/src/api/script.h"

namespace cresset {

// While it exists, libtorch's tracer records the operations of this thread.
class Recording {
 public:
  Recording(const ScriptModule& module, const Values& values, const at::Tensor& example);
  ~Recording();
  // Ends the recording: the operations that computed `output` become the method `method`.
  void finish(ScriptModule& module, rust::Str method, const at::Tensor& output);
  // Operations that may make the trace valid only for the example: names of operations, and warnings from libtorch.
  rust::Vec<rust::String> warnings() const;

 private:
  static std::unique_ptr<at::ObserverContext> watch(const at::RecordFunction& call);
  static void note(const std::string& warning);
  bool depends_on_example(const at::IValue& value) const;

  std::shared_ptr<torch::jit::tracer::TracingState> state_;
  torch::jit::Value* example_ = nullptr;
  std::set<std::string> warnings_;
  at::CallbackHandle watching_ = 0;
};

// `values` are the tensors used in the forward pass, under the names of the module's attributes, which replace them in the
// recording.
std::unique_ptr<Recording> begin_recording(const ScriptModule& module, const Values& values, const at::Tensor& example);

}  // namespace cresset
