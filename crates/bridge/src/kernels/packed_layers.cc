#include "cresset-bridge/src/kernels/packed_layers.h"

#include <algorithm>

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>

#include "cresset-bridge/src/kernels/product.h"

namespace cresset {
namespace {

// The largest number of weights of a layer that stay in a core's cache while rows are processed.
constexpr int64_t kMostWeights = int64_t{1} << 16;

// Rows that pass through all layers together, so that activations stay in the cache.
constexpr int64_t kBlock = 64;

}  // namespace

PackedLayers::Layer::Layer(const PerceptronLayer& layer)
    : inputs(layer.inputs()), outputs(layer.outputs()), row(padded(outputs)), weight(inputs * row), bias(row) {
  transpose(outputs, inputs, layer.weight.const_data_ptr<float>(), inputs, weight.data(), row);
  std::copy_n(layer.bias.const_data_ptr<float>(), outputs, bias.begin());
}

bool PackedLayers::suit(const std::vector<PerceptronLayer>& layers) {
  return has_small_products() && std::all_of(layers.begin(), layers.end(), [](const PerceptronLayer& layer) {
           return layer.weight.numel() <= kMostWeights;
         });
}

PackedLayers::PackedLayers(const std::vector<PerceptronLayer>& layers) : layers_(layers.begin(), layers.end()) {}

at::Tensor PackedLayers::logits(const at::Tensor& inputs) const {
  const auto rows = inputs.size(0), classes = layers_.back().outputs;
  // Created without the dispatcher, which takes longer than a row.
  at::Tensor logits = at::detail::empty_cpu({rows, classes}, at::kFloat);
  const auto* const from = inputs.const_data_ptr<float>();
  auto* const to = logits.mutable_data_ptr<float>();
  at::parallel_for(0, (rows + kBlock - 1) / kBlock, 1, [&](int64_t begin, int64_t end) {
    std::vector<std::vector<float>> between;
    for (const auto& layer : layers_) between.emplace_back(std::min(kBlock, rows) * layer.row);
    for (auto row = begin * kBlock; row < std::min(rows, end * kBlock); row += kBlock) {
      pass(std::min(kBlock, rows - row), from + row * this->inputs(), between, to + row * classes);
    }
  });
  return logits;
}

// Runs a block of rows through all layers.
void PackedLayers::pass(int64_t rows, const float* from, std::vector<std::vector<float>>& between, float* to) const {
  auto from_row = inputs();
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto& layer = layers_[i];
    const auto is_last = i + 1 == layers_.size();
    multiply({.rows = rows,
              .depth = layer.inputs,
              .columns = layer.outputs,
              .left = from,
              .left_row = from_row,
              .left_step = 1,
              .right = layer.weight.data(),
              .right_row = layer.row,
              .out = is_last ? to : between[i].data(),
              .out_row = is_last ? layer.outputs : layer.row,
              .to_rows = nullptr,
              .to_columns = layer.bias.data(),
              .is_rectified = !is_last});
    from = between[i].data();
    from_row = layer.row;
  }
}

}  // namespace cresset
