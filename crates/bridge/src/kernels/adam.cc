#include "cresset-bridge/src/kernels/adam.h"

#include <cmath>

#include "cresset-bridge/src/kernels/vector.h"

namespace cresset {
namespace {

// The constants of a step, which do not depend on the parameter.
struct Rates {
  explicit Rates(const AdamStep& s)
      : new_mean(1 - s.beta1),
        kept_square(s.beta2),
        new_square(1 - s.beta2),
        eps(s.eps),
        rate(s.lr / (1 - std::pow(s.beta1, s.step))),
        to_root(1 / std::sqrt(1 - std::pow(s.beta2, s.step))),
        to_gradient(s.decoupled ? 0 : s.weight_decay),
        kept_weight(s.decoupled ? 1 - s.lr * s.weight_decay : 1) {}

  float new_mean, kept_square, new_square, eps, rate, to_root, to_gradient, kept_weight;
};

// A scalar loop, which the compiler vectorizes.
[[gnu::always_inline]] inline void update(const Rates& by, int64_t count, float* __restrict parameters,
                                          const float* __restrict gradients, float* __restrict means,
                                          float* __restrict squares) {
  const auto r = by;
  for (int64_t i = 0; i < count; ++i) {
    const auto gradient = gradients[i] + r.to_gradient * parameters[i];
    means[i] += r.new_mean * (gradient - means[i]);
    squares[i] = r.kept_square * squares[i] + r.new_square * gradient * gradient;
    const auto root = __builtin_sqrtf(squares[i]) * r.to_root + r.eps;
    parameters[i] = r.kept_weight * parameters[i] - r.rate * means[i] / root;
  }
}

using Update = void (*)(const Rates&, int64_t, float*, const float*, float*, float*);

CRESSET_AVX2 void update_by_8(const Rates& by, int64_t count, float* parameters, const float* gradients, float* means,
                              float* squares) {
  update(by, count, parameters, gradients, means, squares);
}

void update_by_4(const Rates& by, int64_t count, float* parameters, const float* gradients, float* means, float* squares) {
  update(by, count, parameters, gradients, means, squares);
}

}  // namespace

void update_by_adam(const AdamStep& step, int64_t count, float* parameters, const float* gradients, float* means,
                    float* squares) {
  // Wider vectors do not make square roots and divisions faster.
  static const Update by = for_processor<Update>(update_by_8, update_by_8, update_by_4);
  by(Rates(step), count, parameters, gradients, means, squares);
}

}  // namespace cresset
