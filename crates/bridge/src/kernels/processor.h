// Selects a function by the CPU's instruction set.
#pragma once

#if defined(__x86_64__)
#define CRESSET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,bmi,popcnt")))
#define CRESSET_AVX2 __attribute__((target("avx2,fma,bmi,popcnt")))
#else
#define CRESSET_AVX512
#define CRESSET_AVX2
#endif

namespace cresset {

// Selects the function for this CPU, from those for vectors of 16, 8 and 4 floats.
template <typename Function>
Function for_processor(Function by_16, Function by_8, Function by_4) {
#if defined(__x86_64__)
  const bool has_8 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                     __builtin_cpu_supports("popcnt");
  const bool has_16 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (has_8 && has_16) return by_16;
  if (has_8) return by_8;
#endif
  return by_4;
}

}  // namespace cresset
