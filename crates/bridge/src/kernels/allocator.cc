#include "cresset-bridge/src/kernels/allocator.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>
#include <unordered_map>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

namespace cresset {
namespace {

// Smaller blocks are left to the C library, which caches them itself. From this size on, it requests each from the system.
constexpr size_t kLarge = 128 << 10;

// A cached block is reused for a tensor if at most this fraction of it (a fourth) is wasted.
constexpr size_t kWaste = 4;

class KeepingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const bool is_large = bytes >= kLarge;
    void* data = is_large ? large(bytes) : c10::alloc_cpu(bytes);
    return {data, data, is_large ? &release : &c10::free_cpu, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

  void start() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (users_++ == 0) peak_ = used_;
  }

  void stop() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (--users_ == 0) shrink(0);
  }

  size_t kept() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return kept_;
  }

 private:
  struct Kept {
    void* data;
    // A counter of when it was freed.
    size_t since;
  };

  void* large(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto fit = free_.lower_bound(bytes);
    if (fit != free_.end() && fit->first - bytes <= fit->first / kWaste) {
      // Among blocks of equal size, the one freed last, which may still be in the CPU cache.
      fit = std::prev(free_.upper_bound(fit->first));
      const auto [size, kept] = *fit;
      free_.erase(fit);
      kept_ -= size;
      return hand_out(kept.data, size);
    }
    // All cached blocks were in use at some point: the process has been as large as it is now.
    const size_t most = std::max(peak_, used_ + bytes);
    shrink(most - used_ - bytes);
    try {
      return hand_out(c10::alloc_cpu(bytes), bytes);
    } catch (const c10::Error&) {
      // Out of memory, possibly because of the cache.
      shrink(0);
      return hand_out(c10::alloc_cpu(bytes), bytes);
    }
  }

  void* hand_out(void* data, size_t size) {
    sizes_.emplace(data, size);
    used_ += size;
    peak_ = std::max(peak_, used_);
    return data;
  }

  // Frees the oldest blocks until at most this many bytes are cached.
  void shrink(size_t bytes) {
    while (kept_ > bytes) {
      const auto oldest = std::min_element(
          free_.begin(), free_.end(), [](const auto& a, const auto& b) { return a.second.since < b.second.since; });
      kept_ -= oldest->first;
      c10::free_cpu(oldest->second.data);
      free_.erase(oldest);
    }
  }

  static void release(void* data);

  // Returns whether it was a large block of this allocator.
  bool take_back(void* data) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto known = sizes_.find(data);
    if (known == sizes_.end()) return false;
    const size_t size = known->second;
    sizes_.erase(known);
    used_ -= size;
    if (users_ > 0) {
      free_.emplace(size, Kept{data, ++clock_});
      kept_ += size;
    } else {
      c10::free_cpu(data);
    }
    return true;
  }

  std::mutex mutex_;
  // Large blocks in use.
  std::unordered_map<void*, size_t> sizes_;
  std::multimap<size_t, Kept> free_;
  // Bytes of large blocks: in use, the peak in use while caching is active, and cached.
  size_t used_ = 0, peak_ = 0, kept_ = 0;
  size_t clock_ = 0;
  size_t users_ = 0;
};

// Never destroyed: tensors may be freed while the process exits.
KeepingAllocator& keeping_allocator() {
  static KeepingAllocator* allocator = [] {
    auto* made = new KeepingAllocator;
    c10::SetCPUAllocator(made, 1);
    return made;
  }();
  return *allocator;
}

void KeepingAllocator::release(void* data) {
  // Small blocks, and blocks allocated before this allocator was installed, are not tracked here.
  if (!keeping_allocator().take_back(data)) c10::free_cpu(data);
}

}  // namespace

void start_keeping_memory() { keeping_allocator().start(); }

void stop_keeping_memory() { keeping_allocator().stop(); }

size_t kept_bytes() { return keeping_allocator().kept(); }

}  // namespace cresset
