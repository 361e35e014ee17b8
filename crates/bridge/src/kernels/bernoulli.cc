// libtorch draws each number of `bernoulli_` on one core from a Mersenne Twister, as a float64. Here, libtorch's generator draws a
// seed, and xoshiro128++ (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021) continues in 16 lanes. Each
// chunk of the tensor has lanes of its own, so that the numbers do not depend on the number of threads or the CPU.
#include "cresset-bridge/src/kernels/bernoulli.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/ops/bernoulli_cpu_dispatch.h>

#include "cresset-bridge/src/kernels/dispatcher.h"
#include "cresset-bridge/src/kernels/processor.h"

namespace cresset {
namespace {

std::atomic<bool> is_bernoulli_enabled{true};
std::atomic<uint64_t> bernoulli_tensors{0};

// The fewest values for which it is worthwhile.
constexpr int64_t kFewestValues = 1024;

constexpr int64_t kRandomLanes = 16;
constexpr int64_t kValuesOfChunk = int64_t{1} << 14;

typedef uint32_t Words __attribute__((vector_size(kRandomLanes * sizeof(uint32_t))));

// SplitMix64, by which the authors of xoshiro seed it.
uint64_t split_mix(uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// A part of a tensor of float32 or bool, a byte each.
template <typename T>
struct RandomChunk {
  T* values;
  int64_t count;
  // The state of each lane, four words.
  uint32_t state[4][kRandomLanes];
  // A word below it gives a one.
  uint32_t threshold;
};

template <typename T>
[[gnu::always_inline]] inline void fill(const RandomChunk<T>& chunk) {
  typedef T Values __attribute__((vector_size(kRandomLanes * sizeof(T))));
  Words s[4];
  std::memcpy(s, chunk.state, sizeof(s));
  for (int64_t i = 0; i < chunk.count; i += kRandomLanes) {
    const Words sum = s[0] + s[3];
    const Words drawn = ((sum << 7) | (sum >> 25)) + s[0];
    const Words shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = (s[3] << 11) | (s[3] >> 21);
    const Words ones = reinterpret_cast<Words>(drawn < chunk.threshold) & 1u;
    const auto values = __builtin_convertvector(ones, Values);
    std::memcpy(chunk.values + i, &values, std::min(kRandomLanes, chunk.count - i) * sizeof(T));
  }
}

#define CRESSET_FILL(T)                                                \
  CRESSET_AVX512 void fill_by_16(const RandomChunk<T>& chunk) { fill(chunk); } \
  CRESSET_AVX2 void fill_by_8(const RandomChunk<T>& chunk) { fill(chunk); }    \
  void fill_by_4(const RandomChunk<T>& chunk) { fill(chunk); }

CRESSET_FILL(float)
CRESSET_FILL(uint8_t)

#undef CRESSET_FILL

template <typename T>
void fill_chunks(T* values, int64_t count, uint64_t seed, uint32_t threshold) {
  using Fill = void (*)(const RandomChunk<T>&);
  static const auto fill_chunk = for_processor<Fill>(fill_by_16, fill_by_8, fill_by_4);
  const auto chunks = (count + kValuesOfChunk - 1) / kValuesOfChunk;
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    for (auto index = begin; index < end; ++index) {
      RandomChunk<T> chunk{};
      chunk.values = values + index * kValuesOfChunk;
      chunk.count = std::min(kValuesOfChunk, count - index * kValuesOfChunk);
      chunk.threshold = threshold;
      // 32 numbers of the sequence of SplitMix64 for each chunk.
      auto state = seed + static_cast<uint64_t>(index) * 32 * 0x9e3779b97f4a7c15;
      for (auto& words : chunk.state) {
        for (int64_t lane = 0; lane < kRandomLanes; lane += 2) {
          const auto drawn = split_mix(state);
          std::memcpy(&words[lane], &drawn, sizeof(drawn));
        }
      }
      fill_chunk(chunk);
    }
  });
}

at::Tensor& bernoulli_(at::Tensor& values, double p, std::optional<at::Generator> generator) {
  const auto is_float = values.scalar_type() == at::kFloat;
  const auto is_plain = (is_float || values.scalar_type() == at::kBool) && values.layout() == at::kStrided && values.is_contiguous();
  if (!is_bernoulli_enabled.load(std::memory_order_relaxed) || !is_plain || values.numel() < kFewestValues || !(p > 0 && p < 1)) {
    return at::cpu::bernoulli_(values, p, std::move(generator));
  }
  auto* const source = at::get_generator_or_default<at::CPUGeneratorImpl>(generator, at::detail::getDefaultCPUGenerator());
  uint64_t seed;
  {
    const std::lock_guard<std::mutex> lock(source->mutex_);
    seed = source->random64();
  }
  bernoulli_tensors.fetch_add(1, std::memory_order_relaxed);
  const auto threshold = std::min<uint64_t>(static_cast<uint64_t>(p * 4294967296.), UINT32_MAX);
  const auto below = static_cast<uint32_t>(threshold);
  if (is_float) {
    fill_chunks(values.mutable_data_ptr<float>(), values.numel(), seed, below);
  } else {
    fill_chunks(reinterpret_cast<uint8_t*>(values.mutable_data_ptr<bool>()), values.numel(), seed, below);
  }
  return values;
}

[[maybe_unused]] const bool is_bernoulli_replaced = replace_cpu_kernels(
    [](torch::Library& library) { library.impl("bernoulli_.float", TORCH_FN(bernoulli_)); });

}  // namespace

void enable_bernoulli(bool is_enabled) { is_bernoulli_enabled.store(is_enabled, std::memory_order_relaxed); }

uint64_t bernoulli_runs() { return bernoulli_tensors.load(std::memory_order_relaxed); }

}  // namespace cresset
