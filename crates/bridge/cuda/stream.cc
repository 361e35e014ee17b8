// A side stream that copies batches to the device while the current stream computes.
#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "plugin.h"

namespace cresset {

class SideStream {
 public:
  explicit SideStream(c10::DeviceIndex device)
      : side_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)) {}

  // Starts to copy a tensor in pinned memory to the device. Neither the host nor the current stream waits.
  at::Tensor send(const at::Tensor& pinned) {
    c10::cuda::CUDAStreamGuard guard(side_);
    auto copy = pinned.to(pinned.options().device(side_.device()), /*non_blocking=*/true);
    arrived_.record(side_);
    return copy;
  }

  // Makes later work on the current stream wait for all copies started so far; it may then use `copy`.
  void receive(const at::Tensor& copy) {
    const auto current = c10::cuda::getCurrentCUDAStream(side_.device_index());
    arrived_.block(current);
    // The memory was allocated on the side stream. Without this, it could be reused for a copy while still in use.
    copy.record_stream(current);
  }

 private:
  c10::cuda::CUDAStream side_;
  at::cuda::CUDAEvent arrived_;
};

}  // namespace cresset

using cresset::attempt;
using cresset::SideStream;

CRESSET_EXPORT SideStream* cresset_stream_new(int device, char* problem, size_t length) noexcept {
  return cresset::made_for<SideStream>(device, problem, length);
}

// The caller owns the copy and frees it with `delete`.
CRESSET_EXPORT at::Tensor* cresset_stream_send(SideStream* stream, const at::Tensor* pinned, char* problem,
                                               size_t length) noexcept {
  at::Tensor* copy = nullptr;
  attempt(problem, length, [&] { copy = new at::Tensor(stream->send(*pinned)); });
  return copy;
}

CRESSET_EXPORT bool cresset_stream_receive(SideStream* stream, const at::Tensor* copy, char* problem,
                                           size_t length) noexcept {
  return attempt(problem, length, [&] { stream->receive(*copy); });
}

CRESSET_EXPORT void cresset_stream_free(SideStream* stream) noexcept { delete stream; }
