// Adam for few parameters, on one core and without libtorch's dispatch overhead, which takes as long as the update.
#pragma once
#include <cstdint>

namespace cresset {

// The constants of an Adam step (Kingma and Ba, 2015).
struct AdamStep {
  double lr, beta1, beta2, eps, weight_decay;
  // Whether weight decay is decoupled from the gradients (Loshchilov and Hutter, 2019).
  bool decoupled;
  // The number of this step, from 1.
  double step;
};

// Updates `count` parameters and the running means of their gradients and squared gradients.
void update_by_adam(const AdamStep& step, int64_t count, float* parameters, const float* gradients, float* means,
                    float* squares);

}  // namespace cresset
