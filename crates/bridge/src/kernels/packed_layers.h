// Small linear layers with a rectifier between each two, made ready for many calls.
#pragma once
#include <vector>

#include "cresset-bridge/src/kernels/small_perceptron.h"

namespace cresset {

class PackedLayers {
 public:
  // Whether rows pass through these layers faster by this than by libtorch.
  static bool suit(const std::vector<PerceptronLayer>& layers);
  // Copies the weights.
  explicit PackedLayers(const std::vector<PerceptronLayer>& layers);
  int64_t inputs() const { return layers_.front().inputs; }
  // What the last layer gives, float32 (N, outputs), for contiguous float32 (N, inputs); by all cores, none of which waits for
  // another between the layers. The bits of a row depend on nothing but the row.
  at::Tensor logits(const at::Tensor& inputs) const;

 private:
  // A layer's weights with an input a row, (inputs, outputs), and its bias, the outputs padded.
  struct Layer {
    explicit Layer(const PerceptronLayer& layer);

    int64_t inputs, outputs, row;
    std::vector<float> weight, bias;
  };

  void pass(int64_t rows, const float* from, std::vector<std::vector<float>>& between, float* to) const;

  std::vector<Layer> layers_;
};

}  // namespace cresset
