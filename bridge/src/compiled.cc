#include "cresset-bridge/src/compiled.h"

#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"

namespace cresset {

std::unique_ptr<at::Tensor> Compiled::run(const at::Tensor& input) const {
  c10::InferenceMode guard;
  torch::jit::Stack stack;
  stack.reserve(2);
  stack.emplace_back(module_._ivalue());
  stack.emplace_back(input);
  // What the executor of a method does besides, recording shapes and looking up the plan for them, gains nothing on a CPU.
  torch::jit::InterpreterState(code_).run(stack);
  return std::make_unique<at::Tensor>(std::move(stack.back()).toTensor());
}

std::unique_ptr<Compiled> compile(const ScriptModule& module, rust::Str method) {
  return std::make_unique<Compiled>(module.module_, inlined(module.module_.get_method(std::string(method))));
}

std::unique_ptr<at::Tensor> scaled(const at::Tensor& raw, const at::Tensor& offset, const at::Tensor& scale,
                                   rust::Slice<const int64_t> sizes) {
  c10::InferenceMode guard;
  std::vector<int64_t> shape{raw.size(0)};
  shape.insert(shape.end(), sizes.begin(), sizes.end());
  const auto floats = raw.to(at::kFloat).contiguous();
  auto result = at::empty(shape, floats.options());
  const auto width = shape[0] == 0 ? 0 : result.numel() / shape[0];
  const auto fits = [&](const at::Tensor& of) { return of.numel() == 1 || of.numel() == width || shape[0] == 0; };
  TORCH_CHECK(floats.numel() == result.numel() && fits(offset) && fits(scale), "the input has another width");
  // One pass in the place of two operations, which for a single row take longer to begin than to compute.
  const auto* from = floats.const_data_ptr<float>();
  const auto *offsets = offset.const_data_ptr<float>(), *scales = scale.const_data_ptr<float>();
  auto* to = result.mutable_data_ptr<float>();
  if (offset.numel() == 1 && scale.numel() == 1) {
    const auto o = offsets[0], s = scales[0];
    for (int64_t i = 0; i < result.numel(); ++i) to[i] = (from[i] - o) / s;
    return std::make_unique<at::Tensor>(std::move(result));
  }
  const int64_t each_offset = offset.numel() > 1, each_scale = scale.numel() > 1;
  for (int64_t row = 0; row < shape[0]; ++row, from += width, to += width) {
    for (int64_t i = 0; i < width; ++i) to[i] = (from[i] - offsets[i * each_offset]) / scales[i * each_scale];
  }
  return std::make_unique<at::Tensor>(std::move(result));
}

}  // namespace cresset
