// libtorch makes nine passes over the images for normalization and ReLU, forward and backward, and writes each of four
// intermediate results to memory. This makes two passes in each direction, which write only the result and the gradient.
// Images are channels last, so that a vector holds several channels of one pixel. They are float32 or bfloat16 (T below); all
// arithmetic is float32.
#include "cresset-bridge/src/kernels/norm.h"

#include <cmath>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "cresset-bridge/src/ffi.rs.h"
#include "cresset-bridge/src/kernels/plain.h"
#include "cresset-bridge/src/kernels/product.h"
#include "cresset-bridge/src/kernels/vector.h"

namespace cresset {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Pixels per chunk of a sum. Chunks do not depend on the number of threads, so neither do the sums.
constexpr int64_t kChunk = 256;

// Independent partial sums, because each addition waits for the one before.
constexpr int64_t kSums = 4;

// Some pixels, (pixels, channels), and the values per channel: the forward pass computes max(pictures · scale + shift, 0).
template <typename T>
struct NormPass {
  int64_t pixels, channels;
  bool is_rectified;
  const T* pictures;
  const float *scale, *shift;
  // The output: the normalized images, or the gradient of the inputs computed from that of the outputs.
  T* out;
  const T* out_gradient;
  // Backward: the gradient is gradient · scale + (picture − mean) · of_distance + of_channel.
  const float *mean, *of_distance, *of_channel;
  // Sums over the pixels, two for each channel.
  float *first, *second;
};

// Calls `work` with each pixel and the partial sum that it belongs to.
template <typename Work>
[[gnu::always_inline]] inline void for_each_pixel(int64_t pixels, const Work& work) {
  int64_t i = 0;
  for (; i + kSums <= pixels; i += kSums) {
    for (int64_t sum = 0; sum < kSums; ++sum) work(i + sum, sum);
  }
  for (; i < pixels; ++i) work(i, 0);
}

// The mean, and the sum of squared differences from it.
template <typename L, typename T>
[[gnu::always_inline]] inline void measure(const NormPass<T>& w) {
  using V = typename L::Vector;
  for (int64_t c = 0; c < w.channels; c += L::width) {
    const auto* const from = w.pictures + c;
    V sums[kSums] = {};
    for_each_pixel(w.pixels, [&](int64_t i, int64_t sum) {
      V value;
      read<L>(from + i * w.channels, value);
      sums[sum] += value;
    });
    const V mean = ((sums[0] + sums[1]) + (sums[2] + sums[3])) / static_cast<float>(w.pixels);
    V squares[kSums] = {};
    for_each_pixel(w.pixels, [&](int64_t i, int64_t sum) {
      V distance;
      read<L>(from + i * w.channels, distance);
      distance -= mean;
      squares[sum] += distance * distance;
    });
    at<L>(w.first + c) = mean;
    at<L>(w.second + c) = (squares[0] + squares[1]) + (squares[2] + squares[3]);
  }
}

template <typename L, typename T>
[[gnu::always_inline]] inline void normalise(const NormPass<T>& w) {
  using V = typename L::Vector;
  for (int64_t i = 0; i < w.pixels; ++i) {
    const auto* const from = w.pictures + i * w.channels;
    for (int64_t c = 0; c < w.channels; c += L::width) {
      V value;
      read<L>(from + c, value);
      value = value * at<L>(w.scale + c) + at<L>(w.shift + c);
      // NaN is kept.
      if (w.is_rectified) value = value < 0 ? V{} : value;
      write<L>(w.out + i * w.channels + c, value);
    }
  }
}

// The input value, and the gradient of the normalized value after the ReLU's backward pass.
template <typename L, typename T>
[[gnu::always_inline]] inline void let_through(const NormPass<T>& w, int64_t place, int64_t c, typename L::Vector& value,
                                               typename L::Vector& gradient) {
  using V = typename L::Vector;
  read<L>(w.pictures + place, value);
  read<L>(w.out_gradient + place, gradient);
  if (!w.is_rectified) return;
  const V normalised = value * at<L>(w.scale + c) + at<L>(w.shift + c);
  gradient = normalised <= 0 ? V{} : gradient;
}

// Sums of the gradients, and of their products with the differences from the mean.
template <typename L, typename T>
[[gnu::always_inline]] inline void sum_up(const NormPass<T>& w) {
  using V = typename L::Vector;
  for (int64_t c = 0; c < w.channels; c += L::width) {
    const V mean = at<L>(w.mean + c);
    V sums[kSums] = {}, products[kSums] = {};
    for_each_pixel(w.pixels, [&](int64_t i, int64_t sum) {
      const auto place = i * w.channels + c;
      V value, gradient;
      let_through<L>(w, place, c, value, gradient);
      sums[sum] += gradient;
      products[sum] += gradient * (value - mean);
    });
    at<L>(w.first + c) = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    at<L>(w.second + c) = (products[0] + products[1]) + (products[2] + products[3]);
  }
}

template <typename L, typename T>
[[gnu::always_inline]] inline void backpropagate(const NormPass<T>& w) {
  using V = typename L::Vector;
  for (int64_t i = 0; i < w.pixels; ++i) {
    for (int64_t c = 0; c < w.channels; c += L::width) {
      const auto place = i * w.channels + c;
      V value, gradient;
      let_through<L>(w, place, c, value, gradient);
      const V distance = value - at<L>(w.mean + c);
      gradient = gradient * at<L>(w.scale + c) + (distance * at<L>(w.of_distance + c) + at<L>(w.of_channel + c));
      write<L>(w.out + place, gradient);
    }
  }
}

#define CRESSET_FOR_EACH_WIDTH(name, T)                                      \
  CRESSET_AVX512 void name##_by_16(const NormPass<T>& w) { name<Lanes<16>>(w); } \
  CRESSET_AVX2 void name##_by_8(const NormPass<T>& w) { name<Lanes<8>>(w); }     \
  void name##_by_4(const NormPass<T>& w) { name<Lanes<4>>(w); }
#define CRESSET_FOR_EACH_STEP(T)      \
  CRESSET_FOR_EACH_WIDTH(measure, T)   \
  CRESSET_FOR_EACH_WIDTH(normalise, T) \
  CRESSET_FOR_EACH_WIDTH(sum_up, T)    \
  CRESSET_FOR_EACH_WIDTH(backpropagate, T)

CRESSET_FOR_EACH_STEP(float)
CRESSET_FOR_EACH_STEP(at::BFloat16)

#undef CRESSET_FOR_EACH_STEP
#undef CRESSET_FOR_EACH_WIDTH

template <typename T>
using Step = void (*)(const NormPass<T>&);

// Chunks of the pixels, and the sums of each chunk.
struct Chunks {
  int64_t pixels, channels;

  int64_t count() const { return (pixels + kChunk - 1) / kChunk; }
  int64_t size(int64_t chunk) const { return std::min(kChunk, pixels - chunk * kChunk); }

  // Runs a step over each chunk, on all cores; returns its sums, (chunks, 2, channels), if it computes any.
  template <typename T>
  std::vector<float> walk(Step<T> step, const NormPass<T>& whole) const {
    std::vector<float> sums(count() * 2 * channels);
    // Enough pixels per core to make a parallel task worthwhile.
    const auto least = std::max<int64_t>(1, at::internal::GRAIN_SIZE / (kChunk * channels));
    at::parallel_for(0, count(), least, [&](int64_t begin, int64_t end) {
      for (auto chunk = begin; chunk < end; ++chunk) {
        const auto from = chunk * kChunk * channels;
        auto part = whole;
        part.pixels = size(chunk);
        part.pictures += from;
        if (part.out) part.out += from;
        if (part.out_gradient) part.out_gradient += from;
        part.first = sums.data() + chunk * 2 * channels;
        part.second = part.first + channels;
        step(part);
      }
    });
    return sums;
  }
};

// Values per channel, (kFigures, channels) in one tensor.
enum Figure : int64_t { kMean, kDeviation, kScale, kShift, kFigures };

// Combines the mean and sum of squared differences of the chunks, per channel.
void join(const Chunks& chunks, const std::vector<float>& sums, std::vector<double>& mean, std::vector<double>& squares) {
  mean.assign(chunks.channels, 0);
  squares.assign(chunks.channels, 0);
  const auto each = [&](const auto& work) {
    for (int64_t chunk = 0; chunk < chunks.count(); ++chunk) {
      const auto* const first = sums.data() + chunk * 2 * chunks.channels;
      const double share = static_cast<double>(chunks.size(chunk)) / static_cast<double>(chunks.pixels);
      for (int64_t c = 0; c < chunks.channels; ++c) work(c, share, first[c], first[chunks.channels + c]);
    }
  };
  each([&](int64_t c, double share, double of_chunk, double) { mean[c] += share * of_chunk; });
  each([&](int64_t c, double share, double of_chunk, double around) {
    const auto distance = of_chunk - mean[c];
    squares[c] += around + share * static_cast<double>(chunks.pixels) * distance * distance;
  });
}

// The autograd function.
template <typename T>
struct Normalisation : torch::autograd::Function<Normalisation<T>> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& pictures, const at::Tensor& weight, const at::Tensor& bias,
                            const at::Tensor& running_mean, const at::Tensor& running_variance, double momentum, double epsilon,
                            bool is_rectified) {
    static const auto measured = for_processor<Step<T>>(measure_by_16, measure_by_8, measure_by_4);
    static const auto normalised = for_processor<Step<T>>(normalise_by_16, normalise_by_8, normalise_by_4);
    const auto channels = pictures.size(1);
    const Chunks chunks{pictures.numel() / channels, channels};
    NormPass<T> walk{};
    walk.channels = channels;
    walk.is_rectified = is_rectified;
    walk.pictures = pictures.const_data_ptr<T>();
    std::vector<double> mean, squares;
    join(chunks, chunks.walk(measured, walk), mean, squares);
    auto figures = at::empty({kFigures, channels}, weight.options().requires_grad(false));
    auto* const of = figures.mutable_data_ptr<float>();
    const auto *const weights = weight.const_data_ptr<float>(), *const biases = bias.const_data_ptr<float>();
    auto* const followed_mean = running_mean.mutable_data_ptr<float>();
    auto* const followed_variance = running_variance.mutable_data_ptr<float>();
    for (int64_t c = 0; c < channels; ++c) {
      const auto pixels = static_cast<double>(chunks.pixels);
      const auto deviation = std::sqrt(squares[c] / pixels + epsilon);
      of[kMean * channels + c] = mean[c];
      of[kDeviation * channels + c] = deviation;
      of[kScale * channels + c] = weights[c] / deviation;
      of[kShift * channels + c] = biases[c] - mean[c] * weights[c] / deviation;
      followed_mean[c] += momentum * (mean[c] - followed_mean[c]);
      followed_variance[c] += momentum * (squares[c] / (pixels - 1) - followed_variance[c]);
    }
    auto out = at::empty_like(pictures);
    walk.scale = of + kScale * channels;
    walk.shift = of + kShift * channels;
    walk.out = out.mutable_data_ptr<T>();
    chunks.walk(normalised, walk);
    context->save_for_backward({pictures, weight, figures});
    context->saved_data["is_rectified"] = is_rectified;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    static const auto summed = for_processor<Step<T>>(sum_up_by_16, sum_up_by_8, sum_up_by_4);
    static const auto taken_back = for_processor<Step<T>>(backpropagate_by_16, backpropagate_by_8, backpropagate_by_4);
    const auto saved = context->get_saved_variables();
    const auto &pictures = saved[0], &weight = saved[1];
    const auto channels = pictures.size(1);
    const Chunks chunks{pictures.numel() / channels, channels};
    const auto out_gradient = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const auto* const of = saved[2].const_data_ptr<float>();
    NormPass<T> walk{};
    walk.channels = channels;
    walk.is_rectified = context->saved_data["is_rectified"].toBool();
    walk.pictures = pictures.const_data_ptr<T>();
    walk.out_gradient = out_gradient.const_data_ptr<T>();
    walk.mean = of + kMean * channels;
    walk.scale = of + kScale * channels;
    walk.shift = of + kShift * channels;
    const auto sums = chunks.walk(summed, walk);
    auto weight_gradient = at::empty_like(weight), bias_gradient = at::empty_like(weight);
    std::vector<float> of_distance(channels), of_channel(channels);
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0, product = 0;
      for (int64_t chunk = 0; chunk < chunks.count(); ++chunk) {
        sum += sums[chunk * 2 * channels + c];
        product += sums[(chunk * 2 + 1) * channels + c];
      }
      const double deviation = of[kDeviation * channels + c];
      weight_gradient.mutable_data_ptr<float>()[c] = product / deviation;
      bias_gradient.mutable_data_ptr<float>()[c] = sum;
      const auto pixels = static_cast<double>(chunks.pixels);
      of_distance[c] = -walk.scale[c] * product / (deviation * deviation * pixels);
      of_channel[c] = -walk.scale[c] * sum / pixels;
    }
    auto gradient = at::empty_like(pictures);
    walk.of_distance = of_distance.data();
    walk.of_channel = of_channel.data();
    walk.out = gradient.mutable_data_ptr<T>();
    chunks.walk(taken_back, walk);
    return {gradient, weight_gradient, bias_gradient, {}, {}, {}, {}, {}};
  }
};

template <typename T>
at::Tensor apply_to(const at::Tensor& pictures, const BatchNorm& norm) {
  return Normalisation<T>::apply(pictures, norm.weight, norm.bias, norm.running_mean, norm.running_variance, norm.momentum,
                                 norm.epsilon, norm.is_rectified);
}

bool suits(const at::Tensor& pictures, const BatchNorm& norm) {
  const bool is_precise = pictures.scalar_type() == at::kFloat || pictures.scalar_type() == at::kBFloat16;
  const auto is_pictures =
      pictures.device().is_cpu() && is_precise && pictures.dim() == 4 && pictures.is_contiguous(at::MemoryFormat::ChannelsLast);
  // A single pixel has no variance, for which libtorch raises the error.
  if (!is_pictures || pictures.size(1) % kLanes != 0 || pictures.numel() <= pictures.size(1)) return false;
  for (const auto* of_channels : {&norm.weight, &norm.bias, &norm.running_mean, &norm.running_variance}) {
    if (!is_plain(*of_channels) || of_channels->numel() != pictures.size(1)) return false;
  }
  return true;
}

}  // namespace

std::unique_ptr<at::Tensor> batch_norm(const at::Tensor& pictures, const BatchNorm& norm) {
  if (!has_small_products() || !suits(pictures, norm)) return nullptr;
  const auto apply = pictures.scalar_type() == at::kFloat ? apply_to<float> : apply_to<at::BFloat16>;
  return std::make_unique<at::Tensor>(apply(pictures, norm));
}

}  // namespace cresset
