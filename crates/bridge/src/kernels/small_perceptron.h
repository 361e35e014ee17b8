// The training step for small layers: by our matrix products, on one core.
#pragma once
#include <vector>

#include <ATen/core/Tensor.h>

namespace cresset {

// A linear layer of a perceptron.
struct PerceptronLayer {
  at::Tensor weight, bias;
  at::Tensor weight_gradient, bias_gradient;

  int64_t inputs() const { return weight.size(1); }
  int64_t outputs() const { return weight.size(0); }
};

// Stores a batch with one row per feature and one column per example, so that the weights are used in their own layout.
class SmallPerceptron {
 public:
  // Whether this is faster than libtorch for a batch of this many rows.
  static bool suits(const std::vector<PerceptronLayer>& layers, int64_t rows);
  // The mean loss of float32 (N, features) with int64 (N), both contiguous. `logits`, float32 (N, classes), is filled.
  float forward(const std::vector<PerceptronLayer>& layers, const at::Tensor& inputs, const at::Tensor& labels,
                at::Tensor& logits);
  // Writes the gradients of the last forward pass into the layers' gradients.
  void backward(std::vector<PerceptronLayer>& layers);

 private:
  // Float32 values of a batch.
  struct Values {
    at::Tensor tensor;
    float* data() const { return tensor.mutable_data_ptr<float>(); }
  };

  void make_room(const std::vector<PerceptronLayer>& layers, int64_t rows);
  float loss(int64_t classes);

  int64_t rows_ = 0;
  at::Tensor inputs_, labels_;
  // The input of each layer, then the logits; and the gradients of the layers' outputs: (features, examples padded).
  std::vector<Values> values_, gradients_;
  // The input of each layer again, as (examples, features padded).
  std::vector<Values> examples_;
};

}  // namespace cresset
