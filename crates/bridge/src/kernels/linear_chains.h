// Linear layers in a graph of TorchScript, by products of our own.
#pragma once
#include <torch/csrc/jit/ir/ir.h>

namespace cresset {

// Puts one operation in the place of each chain of small linear layers whose parameters are constants, with a rectifier between
// each two, and tells how many there are. What the chains were stays behind as dead code. A chain of libtorch's takes longer to
// call than to compute for a few rows, and for many, what lies between its layers goes through memory.
int join_linear_layers(torch::jit::Block* block);

}  // namespace cresset
