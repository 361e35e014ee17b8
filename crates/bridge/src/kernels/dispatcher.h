// Replaces libtorch's kernels for the CPU in its dispatcher, so that all callers in this process use ours.
#pragma once
#include <c10/util/Exception.h>
#include <torch/library.h>

namespace cresset {

// Calls `replace` with the library of the operators `aten`. To be called before `main`, because the dispatcher may not change
// while another thread computes.
template <typename Replace>
bool replace_cpu_kernels(const Replace& replace) {
  // libtorch warns that a kernel is replaced.
  struct SilentHandler : c10::WarningHandler {
    void process(const c10::Warning&) override {}
  } silent;
  const c10::WarningUtils::WarningHandlerGuard guard(&silent);
  // Never destroyed: threads may compute until the process ends.
  auto* const library = new torch::Library(torch::Library::IMPL, "aten", c10::DispatchKey::CPU, __FILE__, __LINE__);
  replace(*library);
  return true;
}

}  // namespace cresset
