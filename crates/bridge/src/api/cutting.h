// A method that returns the input of a module's last layer.
#pragma once
#include "cresset-bridge/src/api/script.h"

namespace cresset {

// Adds the method `to`, which returns the input of the last layer of the method `from`, flattened to (N, …). False if the
// result of `from` does not depend on a single last layer.
bool cut_before_head(ScriptModule& module, rust::Str from, rust::Str to);

}  // namespace cresset
