// The losses and the confusion matrix of logits on the CPU, in one way over them.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

namespace cresset {

class Tally {
 public:
  explicit Tally(int64_t classes) : classes_(classes), pairs_(classes * classes) {}
  // Takes in float32 (N, classes) and int64 (N).
  void add(const at::Tensor& logits, const at::Tensor& labels);
  // The sum of the cross-entropy over all rows.
  double loss() const { return loss_; }
  // How often each pair of label and greatest logit came, (label, greatest) in rows of a matrix.
  const std::vector<uint64_t>& pairs() const { return pairs_; }

 private:
  int64_t classes_;
  double loss_ = 0;
  std::vector<uint64_t> pairs_;
};

std::unique_ptr<Tally> new_tally(int64_t classes);

}  // namespace cresset
