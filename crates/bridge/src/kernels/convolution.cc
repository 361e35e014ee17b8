// For the weight gradient, libtorch's convolution multiplies image row by image row. An AMX tile takes 32 pixels at once, so
// rows of four or eight leave most of it empty. One matrix product over the pixels of all images fills the tiles.
#include "cresset-bridge/src/kernels/convolution.h"

#include <tuple>

#include <ATen/autocast_mode.h>
#include <ATen/cpu/Utils.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

namespace cresset {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The widest output for which the product is faster: with 16 columns, there are many patches, and rows are long enough.
constexpr int64_t kWidest = 8;

// im2col: (N · height · width, kernel · kernel · channels), with the height and width of the result.
at::Tensor patches(const at::Tensor& pictures, const at::Tensor& result, int64_t kernel, int64_t stride, int64_t padding) {
  auto rows = pictures.permute({0, 2, 3, 1});
  if (padding > 0) rows = at::constant_pad_nd(rows, {0, 0, padding, padding, padding, padding});
  const auto of = rows.strides();
  const auto channels = rows.size(3), height = result.size(2), width = result.size(3);
  const auto windows = rows.as_strided({rows.size(0), height, width, kernel, kernel, channels},
                                       {of[0], stride * of[1], stride * of[2], of[1], of[2], of[3]});
  return windows.reshape({rows.size(0) * height * width, kernel * kernel * channels});
}

// The autograd function.
struct Convolving : torch::autograd::Function<Convolving> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& pictures, const at::Tensor& weight, int64_t stride,
                            int64_t padding) {
    context->save_for_backward({pictures, weight});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    return at::conv2d(pictures, weight, {}, stride, padding);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &pictures = saved[0], &weight = saved[1];
    const auto stride = context->saved_data["stride"].toInt(), padding = context->saved_data["padding"].toInt();
    const auto gradient = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor of_pictures, of_weight;
    if (context->needs_input_grad(0)) {
      of_pictures = std::get<0>(at::convolution_backward(gradient, pictures, weight, std::nullopt, {stride, stride}, {padding, padding},
                                                         {1, 1}, false, {0, 0}, 1, {true, false, false}));
    }
    if (context->needs_input_grad(1)) {
      const auto outputs = weight.size(0), channels = weight.size(1), kernel = weight.size(2);
      const auto of_results = gradient.permute({0, 2, 3, 1}).reshape({-1, outputs});
      const auto product = at::mm(of_results.t(), patches(pictures, gradient, kernel, stride, padding));
      of_weight = product.view({outputs, kernel, kernel, channels}).permute({0, 3, 1, 2});
    }
    return {of_pictures, of_weight, {}, {}};
  }
};

bool suits(const at::Tensor& pictures, const at::Tensor& weight, int64_t stride, int64_t padding) {
  if (!pictures.device().is_cpu() || !weight.device().is_cpu() || pictures.dim() != 4 || weight.dim() != 4) return false;
  if (!pictures.is_contiguous(at::MemoryFormat::ChannelsLast) || pictures.size(0) == 0) return false;
  const auto kernel = weight.size(2);
  if (kernel == 1 || kernel != weight.size(3) || weight.size(1) != pictures.size(1)) return false;
  if (pictures.size(2) + 2 * padding < kernel || pictures.size(3) + 2 * padding < kernel) return false;
  return (pictures.size(3) + 2 * padding - kernel) / stride + 1 <= kWidest;
}

}  // namespace

bool multiplies_bfloat16_tiles() {
  static const bool multiplies = [] {
    const auto capabilities = at::cpu::get_cpu_capabilities();
    const auto found = capabilities.find("amx_bf16");
    return found != capabilities.end() && found->second.toBool();
  }();
  return multiplies;
}

std::unique_ptr<at::Tensor> convolve(const at::Tensor& pictures, const at::Tensor& weight, int64_t stride, int64_t padding) {
  const auto cast = [](const at::Tensor& tensor) { return at::autocast::cached_cast(at::kBFloat16, tensor, at::kCPU); };
  const bool is_cast = at::autocast::is_autocast_enabled(at::kCPU) && at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16;
  if (!is_cast || !suits(pictures, weight, stride, padding)) return nullptr;
  return std::make_unique<at::Tensor>(Convolving::apply(cast(pictures), cast(weight), stride, padding));
}

}  // namespace cresset
