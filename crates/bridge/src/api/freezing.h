// Freezing modules for inference: attributes become constants of the code.
#pragma once
#include <memory>
#include <string>

#include "cresset-bridge/src/api/script.h"

namespace cresset {

// Returns a copy in which all methods and attributes except those in `kept` are inlined or removed.
std::unique_ptr<ScriptModule> frozen(const ScriptModule& module, rust::Slice<const rust::Str> kept);
// In a frozen module, folds normalization, sums and products into the preceding convolutions and linear layers.
void fold_constants(ScriptModule& module);
// Adds the tensor constants of the code to `values`, under numbers as names.
void constants(const ScriptModule& module, Values& values);

}  // namespace cresset
