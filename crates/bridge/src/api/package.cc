#include "cresset-bridge/src/api/package.h"

#include <mutex>
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <c10/util/Logging.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/export/pt2_archive_constants.h>
#include <torch/headeronly/version.h>

// libtorch exports this class, but its packages omit the header. Check the declaration against
// torch/nativert/ModelRunnerHandle.h of a new version before raising the limit.
#if TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR <= 11
#define CRESSET_RUNS_PACKAGES 1
#endif

namespace torch::nativert {

class ModelRunner;

class ModelRunnerHandle {
 public:
#ifdef CRESSET_RUNS_PACKAGES
  ModelRunnerHandle(const std::string& package, const std::string& model);
  ModelRunnerHandle(ModelRunnerHandle&&) = delete;
  ~ModelRunnerHandle();
  std::vector<c10::IValue> runWithFlatInputsAndOutputs(std::vector<c10::IValue> inputs);

 private:
  std::unique_ptr<ModelRunner> runner_;
#else
  ModelRunnerHandle(const std::string&, const std::string&) {
    TORCH_CHECK(false, "this build does not run .pt2 packages: the interface of libtorch ", TORCH_VERSION,
                " is unknown; use torch.export.load in Python");
  }
  std::vector<c10::IValue> runWithFlatInputsAndOutputs(std::vector<c10::IValue>) { return {}; }
#endif
};

}  // namespace torch::nativert

namespace cresset {

namespace archive = torch::_export::archive_spec;

namespace {

// Raises the minimum level of libtorch's log messages: loading a package warns of each operator without a faster kernel, and a call
// logs its exceptions, which also become errors. Of overlapping calls, the level of the first applies.
class Quiet {
 public:
  explicit Quiet(int level) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (count_++ == 0) level_ = std::exchange(FLAGS_caffe2_log_level, level);
  }
  ~Quiet() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (--count_ == 0) FLAGS_caffe2_log_level = level_;
  }

 private:
  static inline std::mutex mutex_;
  static inline int count_ = 0;
  static inline int level_ = 0;
};

}  // namespace

Package::Package(std::string path, const std::string& model) : path_(std::move(path)) {
  // At the level of fatal errors, loading prints the graph.
  Quiet quiet(c10::GLOG_ERROR);
  runner_ = std::make_unique<torch::nativert::ModelRunnerHandle>(path_, model);
}

Package::~Package() = default;

std::unique_ptr<at::Tensor> Package::run(const at::Tensor& input) const {
  at::NoGradGuard no_gradients;
  Quiet quiet(c10::GLOG_FATAL);
  auto outputs = runner_->runWithFlatInputsAndOutputs({input});
  TORCH_CHECK(!outputs.empty() && outputs[0].isTensor(), "the first output of the package is not a tensor");
  return std::make_unique<at::Tensor>(outputs[0].toTensor());
}

rust::Vec<uint8_t> Package::extra(rust::Str name) const {
  caffe2::serialize::PyTorchStreamReader reader(path_);
  auto record = std::string(archive::EXTRA_DIR) + std::string(name);
  TORCH_CHECK(reader.hasRecord(record), "the package has no extra file ", std::string(name));
  auto [data, size] = reader.getRecord(record);
  const auto* bytes = static_cast<const uint8_t*>(data.get());
  rust::Vec<uint8_t> contents;
  contents.reserve(size);
  std::copy(bytes, bytes + size, std::back_inserter(contents));
  return contents;
}

std::unique_ptr<Package> open_package(rust::Str path, rust::Str model) {
  return std::make_unique<Package>(std::string(path), std::string(model));
}

}  // namespace cresset
