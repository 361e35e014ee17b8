// Runs packages that AOTInductor compiled (.pt2 with a shared library).
#pragma once
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "rust/cxx.h"

namespace torch::inductor {
class AOTIModelPackageLoader;
}

namespace cresset {

class CompiledPackage {
 public:
  CompiledPackage(const std::string& path, const std::string& model);
  ~CompiledPackage();
  // The first output of a model with one input.
  std::unique_ptr<at::Tensor> run(const at::Tensor& input) const;

 private:
  std::unique_ptr<torch::inductor::AOTIModelPackageLoader> loader_;
};

std::unique_ptr<CompiledPackage> open_compiled_package(rust::Str path, rust::Str model,
                                                       rust::Slice<const uint8_t> libtorch);

}  // namespace cresset
