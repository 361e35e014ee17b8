// libtorch has an operation for each part of it, and each walks the rows anew: with few classes, log_softmax and argmax take as
// long as the layers of a small model.
#include "cresset-bridge/src/tally.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp_cpu_dispatch.h>
#include <ATen/ops/log_cpu_dispatch.h>

namespace cresset {
namespace {

// Rows that a thread takes at once, some microseconds of work.
constexpr int64_t kGrain = 1024;

// The place of the greatest of `count` values, the first of equal ones; one that is no number counts as the greatest.
int64_t greatest(const float* values, int64_t count) {
  int64_t place = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (std::isnan(values[i])) return i;
    if (values[i] > values[place]) place = i;
  }
  return place;
}

}  // namespace

std::unique_ptr<Tally> new_tally(int64_t classes) { return std::make_unique<Tally>(classes); }

void Tally::add(const at::Tensor& logits, const at::Tensor& labels) {
  at::AutoDispatchBelowADInplaceOrView no_record;
  const auto rows = logits.size(0), classes = classes_;
  TORCH_CHECK(logits.dim() == 2 && logits.size(1) == classes && logits.scalar_type() == at::kFloat && labels.dim() == 1 &&
                  labels.size(0) == rows && labels.scalar_type() == at::kLong,
              "logits are float32 (N, ", classes, "), labels int64 (N)");
  const auto scores = logits.contiguous(), truths = labels.contiguous();
  const auto* const score = scores.const_data_ptr<float>();
  const auto* const truth = truths.const_data_ptr<int64_t>();
  auto shifted = at::empty({rows, classes}, scores.options()), sums = at::empty({rows}, scores.options());
  auto* const shift = shifted.mutable_data_ptr<float>();
  auto* const sum = sums.mutable_data_ptr<float>();
  std::vector<int64_t> found(rows);
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (auto row = begin; row < end; ++row) {
      const auto* const from = score + row * classes;
      found[row] = greatest(from, classes);
      const auto most = from[found[row]];
      for (int64_t i = 0; i < classes; ++i) shift[row * classes + i] = from[i] - most;
    }
  });
  at::cpu::exp_(shifted);
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (auto row = begin; row < end; ++row) {
      float total = 0;
      for (int64_t i = 0; i < classes; ++i) total += shift[row * classes + i];
      sum[row] = total;
    }
  });
  at::cpu::log_(sums);
  // One after the other and in float64, so that the sum is the same whatever the number of threads.
  for (int64_t row = 0; row < rows; ++row) {
    const auto label = truth[row];
    TORCH_CHECK_INDEX(label >= 0 && label < classes, "label ", label, " of row ", row, " is none of ", classes, " classes");
    const auto* const from = score + row * classes;
    loss_ += static_cast<double>(sum[row]) + from[found[row]] - from[label];
    ++pairs_[label * classes + found[row]];
  }
}

}  // namespace cresset
