// Traces the forward method of a TorchScript module on one input: its tensor operations, in order.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <ATen/core/ivalue.h>

#include "rust/cxx.h"

struct TraceNode;
struct TraceArgument;
struct TraceValue;

namespace cresset {

class ScriptModule;

class Trace {
 public:
  rust::Vec<TraceNode> take_nodes();
  rust::Vec<TraceValue> values() const;
  std::unique_ptr<at::Tensor> tensor(size_t value) const;
  size_t input() const { return input_; }
  size_t output() const { return output_; }

 private:
  friend class Recorder;

  struct Value {
    at::Tensor tensor;
    std::string name;
    bool depends_on_input;
  };
  std::vector<Value> values_;
  rust::Vec<TraceNode> nodes_;
  size_t input_ = 0;
  size_t output_ = 0;
};

std::unique_ptr<Trace> trace_forward(const ScriptModule& module, const at::Tensor& input);

}  // namespace cresset
