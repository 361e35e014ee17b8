// Subnormal numbers (below 1.2e-38), with which many CPUs calculate a hundred times slower.
#pragma once
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace cresset {

// While it exists, this thread and its OpenMP team treat subnormal numbers as zero. Otherwise the moments of gradients that
// have become zero, such as those of a ReLU that is inactive for all examples, shrink to subnormal numbers and stay there:
// rounding never makes them zero.
class FlushedSubnormals {
 public:
  // `threads` is the size of the OpenMP team in use; 0 changes nothing.
  explicit FlushedSubnormals([[maybe_unused]] int threads) {
#if defined(__x86_64__)
    threads_ = threads;
    if (threads == 0) return;
    before_ = _mm_getcsr();
    set(before_ | kFlush);
#endif
  }
  ~FlushedSubnormals() {
#if defined(__x86_64__)
    if (threads_ > 0) set(before_);
#endif
  }
  FlushedSubnormals(const FlushedSubnormals&) = delete;
  FlushedSubnormals& operator=(const FlushedSubnormals&) = delete;

 private:
#if defined(__x86_64__)
  // The bits "flush to zero", for results, and "denormals are zeros", for operands.
  static constexpr uint32_t kFlush = 0x8040;

  void set(uint32_t state) const {
    if (threads_ == 1) return _mm_setcsr(state);
#pragma omp parallel num_threads(threads_)
    _mm_setcsr(state);
  }

  int threads_;
  uint32_t before_;
#endif
};

}  // namespace cresset
