// Whether a value from a file is of the type that the code in it declares: compiled code trusts types, and reads memory by them.
#pragma once
#include <ATen/core/ivalue.h>

namespace cresset {

bool conforms(const c10::IValue& value, const c10::Type& type);

}  // namespace cresset
