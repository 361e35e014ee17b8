// A method of a TorchScript module, ready to be run again and again.
#pragma once
#include <memory>

#include <torch/csrc/jit/runtime/interpreter.h>

#include "cresset-bridge/src/api/script.h"

namespace cresset {

class Compiled {
 public:
  Compiled(torch::jit::Module module, std::shared_ptr<torch::jit::Graph> graph)
      : module_(std::move(module)), code_(std::move(graph), "compiled") {}
  // Runs the method without gradients; the result is an inference tensor.
  std::unique_ptr<at::Tensor> run(const at::Tensor& input) const;

 private:
  torch::jit::Module module_;
  torch::jit::Code code_;
};

std::unique_ptr<Compiled> compile(const ScriptModule& module, rust::Str method);

// The same with batch normalisation folded into convolutions, their kernels in the order of memory that the loops over small
// batches like best, or, `in_blocks`, with all that can be in oneDNN's own order, which large ones like best, and linear layers
// by products of our own. Null for a method with nothing to gain, and for one that changes the module. It shares what stays as
// it was with the module, which must be in evaluation mode.
std::unique_ptr<Compiled> compile_folded(const ScriptModule& module, rust::Str method, bool in_blocks);

// (raw - offset) / scale as float32 (N, sizes…), of raw values (N, …) in any of their shapes. `offset` and `scale` are
// contiguous float32, with one value or as many as a row has.
std::unique_ptr<at::Tensor> scaled(const at::Tensor& raw, const at::Tensor& offset, const at::Tensor& scale,
                                   rust::Slice<const int64_t> sizes);

}  // namespace cresset
