// Modules whose linear layers, convolutions and recurrent cells compute with 8-bit integers.
#pragma once
#include <memory>

#include "cresset-bridge/src/api/script.h"

namespace cresset {

// A frozen copy of a module in evaluation mode. If it is not `dynamic`, it takes note of the ranges of all values that its
// `forward` computes, from call to call.
std::unique_ptr<ScriptModule> observed(const ScriptModule& module, bool dynamic);
// What `observed` made, which has seen some inputs, with integers where libtorch can compute with them.
std::unique_ptr<ScriptModule> quantized(const ScriptModule& observed, bool dynamic);
// Whether `forward` of a frozen module uses the operation of this name (`aten::conv2d`).
bool uses(const ScriptModule& module, rust::Str operation);
// Gives the attribute `name` a recurrent cell with weights of 8 bits: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`.
void put_quantized_cell(Values& values, rust::Str name, const at::Tensor& weight_ih, const at::Tensor& weight_hh,
                        const at::Tensor& bias_ih, const at::Tensor& bias_hh);

}  // namespace cresset
