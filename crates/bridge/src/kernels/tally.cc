// libtorch needs one operation for each part, and each makes another pass over the rows: with few classes, log_softmax and
// argmax take as long as the layers of a small model.
#include "cresset-bridge/src/kernels/tally.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include "cresset-bridge/src/kernels/product.h"
#include "cresset-bridge/src/kernels/vector.h"

namespace cresset {
namespace {

// Rows per task of a thread, some microseconds of work.
constexpr int64_t kGrain = 1024;

// Some rows, and their results: the loss and the index of the largest logit.
struct Rows {
  int64_t count, classes;
  const float* scores;
  const int64_t* labels;
  float* losses;
  int64_t* places;
};

// The index of the largest of `count` values, the first among equal ones; NaN counts as the largest.
int64_t greatest(const float* values, int64_t count) {
  int64_t place = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (std::isnan(values[i])) return i;
    if (values[i] > values[place]) place = i;
  }
  return place;
}

// As many rows at once as a vector has floats; they are in `turned`, transposed to one class per row.
template <typename L>
[[gnu::always_inline]] inline void examine(const Rows& r, float* turned) {
  using V = typename L::Vector;
  for (int64_t row = 0; row < r.count; row += L::width) {
    const auto count = std::min<int64_t>(L::width, r.count - row);
    transpose(count, r.classes, r.scores + row * r.classes, r.classes, turned, L::width);
    V most = at<L>(turned), total = {};
    typename L::Whole places = {};
    for (int64_t i = 1; i < r.classes; ++i) {
      const V score = at<L>(turned + i * L::width);
      places = score > most ? typename L::Whole{} + static_cast<int32_t>(i) : places;
      most = score > most ? score : most;
    }
    for (int64_t i = 0; i < r.classes; ++i) {
      V share = at<L>(turned + i * L::width) - most;
      exponentiate<L>(share);
      total += share;
    }
    // Element by element through memory: elements of a vector register have no address.
    float totals[L::width], mosts[L::width];
    int32_t found[L::width];
    std::memcpy(totals, &total, sizeof total);
    std::memcpy(mosts, &most, sizeof most);
    std::memcpy(found, &places, sizeof places);
    for (int64_t i = 0; i < count; ++i) {
      const auto label = r.labels[row + i];
      r.losses[row + i] = std::log(totals[i]) + (mosts[i] - turned[label * L::width + i]);
      r.places[row + i] = std::isnan(totals[i]) ? greatest(r.scores + (row + i) * r.classes, r.classes) : found[i];
    }
  }
}

CRESSET_AVX512 void examine_by_16(const Rows& r, float* turned) { examine<Lanes<16>>(r, turned); }
CRESSET_AVX2 void examine_by_8(const Rows& r, float* turned) { examine<Lanes<8>>(r, turned); }
void examine_by_4(const Rows& r, float* turned) { examine<Lanes<4>>(r, turned); }

}  // namespace

std::unique_ptr<Tally> new_tally(int64_t classes) { return std::make_unique<Tally>(classes); }

void Tally::add(const at::Tensor& logits, const at::Tensor& labels) {
  static const auto examine = for_processor(examine_by_16, examine_by_8, examine_by_4);
  at::AutoDispatchBelowADInplaceOrView no_record;
  const auto rows = logits.size(0), classes = classes_;
  TORCH_CHECK(logits.dim() == 2 && logits.size(1) == classes && logits.scalar_type() == at::kFloat && labels.dim() == 1 &&
                  labels.size(0) == rows && labels.scalar_type() == at::kLong,
              "logits must be float32 (N, ", classes, ") and labels int64 (N)");
  const auto scores = logits.contiguous(), truths = labels.contiguous();
  const auto* const score = scores.const_data_ptr<float>();
  const auto* const truth = truths.const_data_ptr<int64_t>();
  for (int64_t row = 0; row < rows; ++row) {
    TORCH_CHECK_INDEX(truth[row] >= 0 && truth[row] < classes, "label ", truth[row], " of row ", row, " is out of range for ", classes,
                      " classes");
  }
  std::vector<float> losses(rows);
  std::vector<int64_t> places(rows);
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    std::vector<float> turned(classes * kLanes);
    examine({end - begin, classes, score + begin * classes, truth + begin, losses.data() + begin, places.data() + begin},
            turned.data());
  });
  // Sequentially and in float64, so that the sum does not depend on the number of threads.
  for (int64_t row = 0; row < rows; ++row) {
    loss_ += losses[row];
    ++pairs_[truth[row] * classes + places[row]];
  }
}

}  // namespace cresset
