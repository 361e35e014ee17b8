// The loss and confusion matrix of logits on the CPU, computed in one pass.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

namespace cresset {

class Tally {
 public:
  explicit Tally(int64_t classes) : classes_(classes), pairs_(classes * classes) {}
  // Adds a batch: float32 (N, classes) and int64 (N).
  void add(const at::Tensor& logits, const at::Tensor& labels);
  // The sum of the cross-entropy over all rows.
  double loss() const { return loss_; }
  // The confusion matrix, row-major: (label, predicted class).
  const std::vector<uint64_t>& pairs() const { return pairs_; }

 private:
  int64_t classes_;
  double loss_ = 0;
  std::vector<uint64_t> pairs_;
};

std::unique_ptr<Tally> new_tally(int64_t classes);

}  // namespace cresset
