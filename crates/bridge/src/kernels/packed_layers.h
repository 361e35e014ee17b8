// Small linear layers with ReLU between them, with weights packed for repeated calls.
#pragma once
#include <vector>

#include "cresset-bridge/src/kernels/small_perceptron.h"

namespace cresset {

class PackedLayers {
 public:
  // Whether this is faster than libtorch for these layers.
  static bool suit(const std::vector<PerceptronLayer>& layers);
  // Copies the weights.
  explicit PackedLayers(const std::vector<PerceptronLayer>& layers);
  int64_t inputs() const { return layers_.front().inputs; }
  // The output of the last layer, float32 (N, outputs), for contiguous float32 (N, inputs); on all cores, without
  // synchronization between the layers. The bits of a row's result depend only on that row.
  at::Tensor logits(const at::Tensor& inputs) const;

 private:
  // A layer's weights, transposed to (inputs, outputs), and its bias, with padded outputs.
  struct Layer {
    explicit Layer(const PerceptronLayer& layer);

    int64_t inputs, outputs, row;
    std::vector<float> weight, bias;
  };

  void pass(int64_t rows, const float* from, std::vector<std::vector<float>>& between, float* to) const;

  std::vector<Layer> layers_;
};

}  // namespace cresset
