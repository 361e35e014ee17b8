// A method of a TorchScript module, compiled for repeated calls.
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

// Like compile, but with batch normalization folded into convolutions, convolution weights in the memory format that is
// fastest for small batches or, with `in_blocks`, activations and weights in oneDNN's blocked layout, which is fastest for
// large ones, and linear layers computed by our matrix products. Null for a method that would not become faster, and for
// one that modifies the module. Shares everything unchanged with the module, which must be in evaluation mode.
std::unique_ptr<Compiled> compile_folded(const ScriptModule& module, rust::Str method, bool in_blocks);

// (raw - offset) / scale as float32 (N, sizes…), for raw values (N, …) in any shape with as many values per row. `offset`
// and `scale` are contiguous float32, with one value or one per value of a row.
std::unique_ptr<at::Tensor> scaled(const at::Tensor& raw, const at::Tensor& offset, const at::Tensor& scale,
                                   rust::Slice<const int64_t> sizes);

}  // namespace cresset
