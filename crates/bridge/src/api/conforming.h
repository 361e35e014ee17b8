// Checks whether a value from a file has the type declared in its code: compiled code accesses memory according to types.
#pragma once
#include <ATen/core/ivalue.h>

namespace cresset {

bool conforms(const c10::IValue& value, const c10::Type& type);

}  // namespace cresset
