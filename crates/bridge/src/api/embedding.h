// Calls of modules whose embeddings of tokens are scaled.
#pragma once
#include "cresset-bridge/src/api/script.h"

namespace cresset {

// Calls a method with `input`, and multiplies the vectors of the first embedding by `factors`, which broadcasts over (N, entries, width).
// The results are "0", the scaled vectors (N, entries, width), and "1", the result of the method.
void call_with_scaled_embedding(const ScriptModule& module, rust::Str method, const at::Tensor& input,
                                const at::Tensor& factors, Values& results);

}  // namespace cresset
