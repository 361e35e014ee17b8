// A forward pass that runs in Rust, recorded as a method of a module.
#pragma once
#include <memory>

#include <torch/csrc/jit/frontend/tracer.h>

#include "cresset-bridge/src/script.h"

namespace cresset {

// While it lives, libtorch records what this thread computes.
class Recording {
 public:
  Recording(const ScriptModule& module, const Values& values, const at::Tensor& example);
  ~Recording();
  // Ends the recording: what `output` was computed by becomes the method `method`.
  void finish(ScriptModule& module, rust::Str method, const at::Tensor& output);

 private:
  std::shared_ptr<torch::jit::tracer::TracingState> state_;
};

// `values` are the tensors that the forward pass computes with, under the names of the module's attributes, which take
// their place in the recording.
std::unique_ptr<Recording> begin_recording(const ScriptModule& module, const Values& values, const at::Tensor& example);

}  // namespace cresset
