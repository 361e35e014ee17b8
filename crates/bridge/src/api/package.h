// Runs packages of torch.export (.pt2) with libtorch's interpreter for them, without Python.
#pragma once
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "rust/cxx.h"

namespace torch::nativert {
class ModelRunnerHandle;
}

namespace cresset {

class Package {
 public:
  Package(std::string path, const std::string& model);
  ~Package();
  // The first output of a model with one input.
  std::unique_ptr<at::Tensor> run(const at::Tensor& input) const;
  // The contents of an extra file.
  rust::Vec<uint8_t> extra(rust::Str name) const;

 private:
  std::string path_;
  std::unique_ptr<torch::nativert::ModelRunnerHandle> runner_;
};

std::unique_ptr<Package> open_package(rust::Str path, rust::Str model);

}  // namespace cresset
