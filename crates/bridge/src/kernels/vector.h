// Vectors of floats in the widths of current CPUs: a computation is written once, as a template of `Lanes`, and compiled for
// each width by functions marked with the instruction set that they may use.
#pragma once
#include <cstdint>

#include <c10/util/BFloat16.h>

#include "cresset-bridge/src/kernels/processor.h"

namespace cresset {

// Vectors of `Width` floats, and of `Width` integers.
template <int Width>
struct Lanes {
  static constexpr int64_t width = Width;
  typedef float Vector __attribute__((vector_size(Width * sizeof(float))));
  typedef int32_t Whole __attribute__((vector_size(Width * sizeof(float))));
  // The same in memory, with the alignment of a float.
  typedef float Stored __attribute__((vector_size(Width * sizeof(float)), aligned(alignof(float)), may_alias));
  // As many bfloat16 values in memory.
  typedef uint16_t Halves __attribute__((vector_size(Width * sizeof(uint16_t)), aligned(alignof(uint16_t)), may_alias));
};

template <typename L>
[[gnu::always_inline]] inline typename L::Stored& at(float* values) {
  return *reinterpret_cast<typename L::Stored*>(values);
}

template <typename L>
[[gnu::always_inline]] inline const typename L::Stored& at(const float* values) {
  return *reinterpret_cast<const typename L::Stored*>(values);
}

template <typename L>
[[gnu::always_inline]] inline void read(const float* values, typename L::Vector& vector) {
  vector = at<L>(values);
}

// A bfloat16 is the upper half of a float.
template <typename L>
[[gnu::always_inline]] inline void read(const c10::BFloat16* values, typename L::Vector& vector) {
  const auto& halves = *reinterpret_cast<const typename L::Halves*>(values);
  vector = reinterpret_cast<typename L::Vector>(__builtin_convertvector(halves, typename L::Whole) << 16);
}

template <typename L>
[[gnu::always_inline]] inline void write(float* values, const typename L::Vector& vector) {
  at<L>(values) = vector;
}

// Rounds to nearest, ties to even; NaN stays NaN.
template <typename L>
[[gnu::always_inline]] inline void write(c10::BFloat16* values, const typename L::Vector& vector) {
  using Whole = typename L::Whole;
  const Whole bits = vector == vector ? reinterpret_cast<Whole>(vector) : Whole{} + 0x7fc00000;
  const Whole halves = (bits + (((bits >> 16) & 1) + 0x7fff)) >> 16;
  *reinterpret_cast<typename L::Halves*>(values) = __builtin_convertvector(halves, typename L::Halves);
}

// e to the power of each value, to 2 units in the last place, between 2⁻¹²⁶ and 2¹²⁷. The power of two is split off, and the
// remainder, at most ln(2) / 2, goes through the polynomial of the Cephes library (S. L. Moshier), with its minimax coefficients.
template <typename L>
[[gnu::always_inline]] inline void exponentiate(typename L::Vector& x) {
  using V = typename L::Vector;
  constexpr float most = 87.33654f;
  x = x > most ? V{} + most : x;
  x = x < -most ? V{} - most : x;
  // Adding it leaves no bits for a fraction, so the sum is rounded to an integer.
  constexpr float round = 12582912;
  const V powers = (x * 1.44269504f + round) - round;
  // ln(2) in two parts; the first ends in zero bits.
  const V rest = (x - powers * 0.693359375f) + powers * 2.12194440e-4f;
  V sum = V{} + 1.9875691500e-4f;
  sum = sum * rest + 1.3981999507e-3f;
  sum = sum * rest + 8.3334519073e-3f;
  sum = sum * rest + 4.1665795894e-2f;
  sum = sum * rest + 1.6666665459e-1f;
  sum = sum * rest + 5.0000001201e-1f;
  sum = sum * rest * rest + rest + 1;
  // A float with zero mantissa is a power of two: the exponent is at bit 23, with a bias of 127.
  const auto exponents = (__builtin_convertvector(powers, typename L::Whole) + 127) << 23;
  x = sum * reinterpret_cast<V>(exponents);
}

// 1 / (1 + e⁻ˣ)
template <typename L>
[[gnu::always_inline]] inline void squash(typename L::Vector& x) {
  x = -x;
  exponentiate<L>(x);
  x = 1 / (1 + x);
}

// The hyperbolic tangent.
template <typename L>
[[gnu::always_inline]] inline void squash_both_ways(typename L::Vector& x) {
  x = 2 * x;
  exponentiate<L>(x);
  x = 1 - 2 / (x + 1);
}

}  // namespace cresset
