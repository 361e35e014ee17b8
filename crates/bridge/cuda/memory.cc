// GPU memory statistics.
#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>

#include "plugin.h"

namespace cresset {

// Bytes; the order is that of `Memory` in src/api/cuda/memory.rs.
struct Memory {
  int64_t allocated, peak_allocated, reserved, peak_reserved, free, total;
};

}  // namespace cresset

using cresset::attempt;

CRESSET_EXPORT bool cresset_memory(int device, cresset::Memory* memory, char* problem, size_t length) noexcept {
  return attempt(problem, length, [&] {
    at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
    const auto index = static_cast<c10::DeviceIndex>(device);
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(index);
    // Index 0 of the statistics is the aggregate of small and large blocks.
    const auto& allocated = stats.allocated_bytes[0];
    const auto& reserved = stats.reserved_bytes[0];
    const auto [free, total] = c10::cuda::CUDACachingAllocator::get()->getMemoryInfo(index);
    *memory = {allocated.current, allocated.peak,
               reserved.current,  reserved.peak,
               static_cast<int64_t>(free), static_cast<int64_t>(total)};
  });
}

CRESSET_EXPORT bool cresset_memory_reset_peak(int device, char* problem, size_t length) noexcept {
  return attempt(problem, length, [&] {
    at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
    c10::cuda::CUDACachingAllocator::resetPeakStats(static_cast<c10::DeviceIndex>(device));
  });
}
