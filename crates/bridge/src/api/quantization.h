// Modules whose linear layers, convolutions and recurrent cells compute with 8-bit integers.
#pragma once
#include <memory>

#include "cresset-bridge/src/api/script.h"

namespace cresset {

// A frozen copy of a module in evaluation mode. Unless `dynamic`, each call of its `forward` updates the ranges of all
// activations.
std::unique_ptr<ScriptModule> observed(const ScriptModule& module, bool dynamic);
// Quantizes a calibrated module from `observed`, where libtorch supports 8-bit integers.
std::unique_ptr<ScriptModule> quantized(const ScriptModule& observed, bool dynamic);
// Whether `forward` of a frozen module uses an operation (`aten::conv2d`).
bool uses(const ScriptModule& module, rust::Str operation);
// Sets the attribute `name` to a recurrent cell with 8-bit weights: `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`.
void put_quantized_cell(Values& values, rust::Str name, const at::Tensor& weight_ih, const at::Tensor& weight_hh,
                        const at::Tensor& bias_ih, const at::Tensor& bias_hh);

}  // namespace cresset
