// Numbers below 1.2e-38, of which floats keep fewer bits, and with which many processors calculate a hundred times slower.
#pragma once
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace cresset {

// While it lives, this thread and those of its OpenMP team take them for zero. What optimizers keep of gradients that have become
// zero, such as those of a rectifier that is shut for all examples, else shrinks to such numbers and stays there: rounding never
// makes it zero.
class FlushedSubnormals {
 public:
  // `threads` is the size of the team that works meanwhile; 0 changes nothing.
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
  // The bits "flush to zero", for results, and "denormals are zeros", for what is calculated with.
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
