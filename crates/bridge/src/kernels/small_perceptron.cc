#include "cresset-bridge/src/kernels/small_perceptron.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/zeros.h>

#include "cresset-bridge/src/kernels/product.h"
#include "cresset-bridge/src/kernels/vector.h"

namespace cresset {
namespace {

// Maximum multiplications of a forward pass for which these products on one core are faster than libtorch's on two.
constexpr int64_t kMostWork = int64_t{1} << 22;

// Smaller probabilities are treated as zero. For confident models, products of them would be subnormal numbers, which are
// slow.
constexpr float kLeast = 1e-30f;

at::Tensor zeros(int64_t rows, int64_t columns) { return at::zeros({rows, columns}, at::kFloat); }

// Logits (classes, columns), the softmax computed from them, and the factor applied to each probability.
struct Shares {
  int64_t classes, columns;
  const float* scores;
  // The probabilities times `scale`, (classes, columns), and the logarithm of the softmax denominators, (columns).
  float *shares, *logarithms;
  float scale;
};

template <typename L>
[[gnu::always_inline]] inline void take_shares(const Shares& s) {
  using V = typename L::Vector;
  for (int64_t column = 0; column < s.columns; column += L::width) {
    const auto* const scores = s.scores + column;
    auto* const shares = s.shares + column;
    V most = at<L>(scores), total = {};
    for (int64_t row = 1; row < s.classes; ++row) {
      const V score = at<L>(scores + row * s.columns);
      most = score > most ? score : most;
    }
    for (int64_t row = 0; row < s.classes; ++row) {
      V share = at<L>(scores + row * s.columns) - most;
      exponentiate<L>(share);
      total += share;
      at<L>(shares + row * s.columns) = share;
    }
    const V factor = s.scale / total;
    for (int64_t row = 0; row < s.classes; ++row) {
      const V share = at<L>(shares + row * s.columns) * factor;
      at<L>(shares + row * s.columns) = share < kLeast ? V{} : share;
    }
    at<L>(s.logarithms + column) = total;
    for (int64_t i = 0; i < L::width; ++i) s.logarithms[column + i] = std::log(s.logarithms[column + i]);
    at<L>(s.logarithms + column) += most;
  }
}

CRESSET_AVX512 void shares_by_16(const Shares& s) { take_shares<Lanes<16>>(s); }
CRESSET_AVX2 void shares_by_8(const Shares& s) { take_shares<Lanes<8>>(s); }
void shares_by_4(const Shares& s) { take_shares<Lanes<4>>(s); }

}  // namespace

bool SmallPerceptron::suits(const std::vector<PerceptronLayer>& layers, int64_t rows) {
  int64_t work = 0;
  for (const auto& layer : layers) work += rows * layer.weight.numel();
  return has_small_products() && rows > 0 && work <= kMostWork;
}

void SmallPerceptron::make_room(const std::vector<PerceptronLayer>& layers, int64_t rows) {
  if (rows_ == rows) return;
  rows_ = rows;
  values_.clear(), gradients_.clear(), examples_.clear();
  for (const auto& layer : layers) {
    values_.push_back({zeros(layer.inputs(), padded(rows))});
    gradients_.push_back({zeros(layer.outputs(), padded(rows))});
    examples_.push_back({zeros(rows, padded(layer.inputs()))});
  }
  values_.push_back({zeros(layers.back().outputs(), padded(rows))});
}

float SmallPerceptron::forward(const std::vector<PerceptronLayer>& layers, const at::Tensor& inputs, const at::Tensor& labels,
                               at::Tensor& logits) {
  make_room(layers, inputs.size(0));
  inputs_ = inputs, labels_ = labels;
  const auto columns = padded(rows_), features = layers.front().inputs(), classes = layers.back().outputs();
  transpose(rows_, features, inputs.const_data_ptr<float>(), features, values_[0].data(), columns);
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& layer = layers[i];
    multiply({.rows = layer.outputs(),
              .depth = layer.inputs(),
              .columns = columns,
              .left = layer.weight.const_data_ptr<float>(),
              .left_row = layer.inputs(),
              .left_step = 1,
              .right = values_[i].data(),
              .right_row = columns,
              .out = values_[i + 1].data(),
              .out_row = columns,
              .to_rows = layer.bias.const_data_ptr<float>(),
              .to_columns = nullptr,
              .is_rectified = i + 1 < layers.size()});
  }
  transpose(classes, rows_, values_.back().data(), columns, logits.mutable_data_ptr<float>(), classes);
  return loss(classes);
}

// Leaves the gradients of the logits: (softmax - 1 at the label) / rows.
float SmallPerceptron::loss(int64_t classes) {
  static const auto shares = for_processor(shares_by_16, shares_by_8, shares_by_4);
  const auto columns = padded(rows_);
  const auto* const scores = values_.back().data();
  auto* const gradient = gradients_.back().data();
  const auto* const labels = labels_.const_data_ptr<int64_t>();
  const auto share = 1 / static_cast<float>(rows_);
  std::vector<float> logarithms(columns);
  shares({classes, columns, scores, gradient, logarithms.data(), share});
  float sum = 0;
  for (int64_t i = 0; i < rows_; ++i) {
    TORCH_CHECK_INDEX(labels[i] >= 0 && labels[i] < classes, "label ", labels[i], " is out of range for ", classes, " classes");
    gradient[labels[i] * columns + i] -= share;
    sum += logarithms[i] - scores[labels[i] * columns + i];
  }
  for (int64_t row = 0; row < classes; ++row) std::fill(gradient + row * columns + rows_, gradient + (row + 1) * columns, 0.f);
  return sum * share;
}

void SmallPerceptron::backward(std::vector<PerceptronLayer>& layers) {
  const auto columns = padded(rows_);
  for (auto i = layers.size(); i-- > 0;) {
    auto& layer = layers[i];
    const auto inputs = layer.inputs(), outputs = layer.outputs();
    const auto* const gradient = gradients_[i].data();
    // The first layer's inputs are used in place if no padding is needed.
    const auto is_ready = i == 0 && inputs % kLanes == 0;
    const auto* const examples = is_ready ? inputs_.const_data_ptr<float>() : examples_[i].data();
    if (!is_ready) transpose(inputs, rows_, values_[i].data(), columns, examples_[i].data(), padded(inputs));
    multiply({.rows = outputs,
              .depth = rows_,
              .columns = inputs,
              .left = gradient,
              .left_row = columns,
              .left_step = 1,
              .right = examples,
              .right_row = padded(inputs),
              .out = layer.weight_gradient.mutable_data_ptr<float>(),
              .out_row = inputs});
    auto* const bias = layer.bias_gradient.mutable_data_ptr<float>();
    for (int64_t row = 0; row < outputs; ++row) {
      float sum = 0;
      for (int64_t column = 0; column < rows_; ++column) sum += gradient[row * columns + column];
      bias[row] = sum;
    }
    if (i == 0) break;
    auto* const before = gradients_[i - 1].data();
    multiply({.rows = inputs,
              .depth = outputs,
              .columns = columns,
              .left = layer.weight.const_data_ptr<float>(),
              .left_row = 1,
              .left_step = inputs,
              .right = gradient,
              .right_row = columns,
              .out = before,
              .out_row = columns});
    // The layer's input is 0 where the preceding ReLU was inactive.
    const auto* const given = values_[i].data();
    for (int64_t at = 0; at < inputs * columns; ++at) before[at] = given[at] > 0 ? before[at] : 0;
  }
}

}  // namespace cresset
