#include "cresset-bridge/src/api/compiled_package.h"

#include <cstdlib>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

namespace cresset {

CompiledPackage::CompiledPackage(const std::string& path, const std::string& model) {
  // Makes the compiled code check the shape and dtype of its inputs, which it would otherwise read without checks. It looks at the
  // variable in its first call.
  setenv("AOTI_RUNTIME_CHECK_INPUTS", "1", 0);
  loader_ = std::make_unique<torch::inductor::AOTIModelPackageLoader>(path, model);
}

CompiledPackage::~CompiledPackage() = default;

std::unique_ptr<at::Tensor> CompiledPackage::run(const at::Tensor& input) const {
  at::NoGradGuard no_gradients;
  auto outputs = loader_->run({input});
  TORCH_CHECK(!outputs.empty(), "the package has no output");
  return std::make_unique<at::Tensor>(outputs[0]);
}

std::unique_ptr<CompiledPackage> open_compiled_package(rust::Str path, rust::Str model) {
  return std::make_unique<CompiledPackage>(std::string(path), std::string(model));
}

}  // namespace cresset
