// NCCL, the backend for processes with one GPU each.
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "plugin.h"

// The options of a communicator are a struct of NCCL, so its header must be the one that libtorch was built with.
static_assert(NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 0) && NCCL_VERSION_CODE < NCCL_VERSION(2, 29, 0),
              "libtorch 2.11.0 was built with NCCL 2.28");

// A process group backend for tensors on CUDA devices. The caller owns it (`c10::intrusive_ptr::reclaim`); null after an
// error, which is described in `problem`.
CRESSET_EXPORT c10d::Backend* cresset_new_nccl(const c10::intrusive_ptr<c10d::Store>* store, int rank, int size,
                                               int64_t timeout_ms, char* problem, size_t length) noexcept {
  c10d::Backend* backend = nullptr;
  cresset::attempt(problem, length, [&] {
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = std::chrono::milliseconds(timeout_ms);
    options->group_name = "0";
    auto group = c10::make_intrusive<c10d::ProcessGroupNCCL>(*store, rank, size, options);
    group->setSequenceNumberForGroup();
    backend = group.release();
  });
  return backend;
}
