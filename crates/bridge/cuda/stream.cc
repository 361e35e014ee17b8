// A stream beside the one that computes, on which batches travel to the device.
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

  // Starts to copy a tensor in pinned memory to the device. The host does not wait, and nor does what computes.
  at::Tensor send(const at::Tensor& pinned) {
    c10::cuda::CUDAStreamGuard guard(side_);
    auto copy = pinned.to(pinned.options().device(side_.device()), /*non_blocking=*/true);
    arrived_.record(side_);
    return copy;
  }

  // What comes on this thread's stream waits for all that was sent so far, and may use `copy`.
  void receive(const at::Tensor& copy) {
    const auto current = c10::cuda::getCurrentCUDAStream(side_.device_index());
    arrived_.block(current);
    // The memory was taken for the side stream. Without this it could be sent to anew while it is still computed with.
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

// The copy is the caller's, who frees it with `delete`.
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
