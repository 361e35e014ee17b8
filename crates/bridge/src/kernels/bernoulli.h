// Random zeros and ones, of which dropout is made: by vectors, and on all cores.
#pragma once
#include <cstdint>

namespace cresset {

// Whether `bernoulli_` may use it in this process; initially it may.
void enable_bernoulli(bool is_enabled);

// The number of tensors that it has filled in this process.
uint64_t bernoulli_runs();

}  // namespace cresset
