// A forward pass that runs in Rust, recorded as a method of a module.
#pragma once
#include <memory>
#include <set>
#include <string>

#include <ATen/record_function.h>
#include <torch/csrc/jit/frontend/tracer.h>

#include "cresset-bridge/src/api/script.h"

namespace cresset {

// While it lives, libtorch records what this thread computes.
class Recording {
 public:
  Recording(const ScriptModule& module, const Values& values, const at::Tensor& example);
  ~Recording();
  // Ends the recording: what `output` was computed by becomes the method `method`.
  void finish(ScriptModule& module, rust::Str method, const at::Tensor& output);
  // What was done that the recording holds as it was for the example: names of operations, and sentences of libtorch's.
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

// `values` are the tensors that the forward pass computes with, under the names of the module's attributes, which take
// their place in the recording.
std::unique_ptr<Recording> begin_recording(const ScriptModule& module, const Values& values, const at::Tensor& example);

}  // namespace cresset
