// Linear layers in a TorchScript graph, computed by our matrix products.
#pragma once
#include <torch/csrc/jit/ir/ir.h>

namespace cresset {

// Replaces each chain of small linear layers with constant parameters and ReLU between them by one operation, and returns
// the number of chains. The replaced nodes remain as dead code. With libtorch's operations, dispatch takes longer than the
// computation for few rows, and for many rows, the activations between layers go through memory.
int join_linear_layers(torch::jit::Block* block);

}  // namespace cresset
