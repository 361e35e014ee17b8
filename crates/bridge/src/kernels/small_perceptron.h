// The same step where the layers are small: by products of our own, on one core.
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

// Holds a batch with one row for each feature and one column for each example, so that the weights are used as they lie.
class SmallPerceptron {
 public:
  // Whether a batch of so many rows is computed faster by this than by libtorch.
  static bool suits(const std::vector<PerceptronLayer>& layers, int64_t rows);
  // The mean loss of float32 (N, features) with int64 (N), both contiguous. `logits`, float32 (N, classes), is filled.
  float forward(const std::vector<PerceptronLayer>& layers, const at::Tensor& inputs, const at::Tensor& labels,
                at::Tensor& logits);
  // Writes the gradients of the last forward pass into those of the layers.
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
  // What each layer was given, then the logits; and the gradients of what each gave: (features, examples padded).
  std::vector<Values> values_, gradients_;
  // What each layer was given, once more, as (examples, features padded).
  std::vector<Values> examples_;
};

}  // namespace cresset
