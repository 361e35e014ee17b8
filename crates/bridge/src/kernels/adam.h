// Adam of few parameters, by one core and without libtorch's way to its kernel, which takes as long as the update.
#pragma once
#include <cstdint>

namespace cresset {

// What a step of Adam (Kingma and Ba, 2015) computes with.
struct AdamStep {
  double lr, beta1, beta2, eps, weight_decay;
  // Whether weights decay by themselves (Loshchilov and Hutter, 2019) instead of by their gradients.
  bool decoupled;
  // The number of this step, from 1.
  double step;
};

// Updates `count` parameters, and the running means of their gradients and of the squares.
void update_by_adam(const AdamStep& step, int64_t count, float* parameters, const float* gradients, float* means,
                    float* squares);

}  // namespace cresset
