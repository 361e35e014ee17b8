// Modules frozen for inference: attributes become constants of the code.
#pragma once
#include <memory>
#include <string>

#include "cresset-bridge/src/api/script.h"

namespace cresset {

// A copy in which all that `kept` (methods and attributes) does not name has become a part of the methods or is gone.
std::unique_ptr<ScriptModule> frozen(const ScriptModule& module, rust::Slice<const rust::Str> kept);
// Folds normalisation, sums and products into the convolutions and linear layers before them, in a frozen module.
void fold_constants(ScriptModule& module);
// Puts the tensors that are constants of the code into `values`, by numbers.
void constants(const ScriptModule& module, Values& values);

}  // namespace cresset
