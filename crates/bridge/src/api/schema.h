// Schemas of the operators that are registered with libtorch's dispatcher.
#pragma once
#include "rust/cxx.h"

struct OperatorSchema;

namespace cresset {

// `is_known` is false if the dispatcher has no operator of this name, such as `aten::add`, and overload.
OperatorSchema operator_schema(rust::Str name, rust::Str overload);

}  // namespace cresset
