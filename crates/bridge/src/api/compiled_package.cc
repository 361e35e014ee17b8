#include "cresset-bridge/src/api/compiled_package.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

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

namespace {

// Loads `library` under the name libtorch.so, unless a library of this name is loaded. The dynamic linker finds the dependencies of a
// compiled package among the loaded libraries.
void load_libtorch(rust::Slice<const uint8_t> library) {
  if (dlopen("libtorch.so", RTLD_NOW | RTLD_NOLOAD) != nullptr) return;
  int file = memfd_create("libtorch.so", MFD_CLOEXEC);
  TORCH_CHECK(file >= 0, "cannot create a file in memory: ", std::strerror(errno));
  auto written = write(file, library.data(), library.size());
  auto path = "/proc/self/fd/" + std::to_string(file);
  bool is_loaded = written == static_cast<ssize_t>(library.size()) && dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr;
  close(file);
  TORCH_CHECK(is_loaded, "cannot load the empty libtorch.so");
}

}  // namespace

std::unique_ptr<CompiledPackage> open_compiled_package(rust::Str path, rust::Str model,
                                                       rust::Slice<const uint8_t> libtorch) {
  load_libtorch(libtorch);
  return std::make_unique<CompiledPackage>(std::string(path), std::string(model));
}

}  // namespace cresset
