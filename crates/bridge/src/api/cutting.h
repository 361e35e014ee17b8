// What the last layer of a module is given, as a method of its own.
#pragma once
#include "cresset-bridge/src/api/script.h"

namespace cresset {

// Adds the method `to`, which gives what the last layer of the method `from` is given, flattened to (N, …). False if the
// result of `from` does not come from one last layer.
bool cut_before_head(ScriptModule& module, rust::Str from, rust::Str to);

}  // namespace cresset
