// One comparison finds the delimiters of 64 bytes. The eight bytes before each delimiter are a cell: one lane of a vector, in
// which shifts and products alone convert it to a number, whatever its sign, length and decimal point.
#include "cresset-decimals/src/decimals.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../../src/kernels/processor.h"

namespace cresset {
namespace {

#if defined(__x86_64__)

// Bytes per comparison.
constexpr size_t kBlock = 64;

// The bytes of a cell that fit a lane, and the digits for which every integer is exact in float32.
constexpr int kLongest = 8;
constexpr int kMostDigits = 7;

constexpr uint64_t each(uint8_t byte) { return 0x0101010101010101 * byte; }

// `Count` cells of eight bytes each, and their numbers.
template <int Count>
struct Cells {
  static constexpr size_t count = Count;
  typedef uint64_t Bytes __attribute__((vector_size(8 * Count)));
  typedef uint32_t Fours __attribute__((vector_size(8 * Count)));
  typedef uint16_t Pairs __attribute__((vector_size(8 * Count)));
  typedef uint32_t Small __attribute__((vector_size(4 * Count)));
  typedef int32_t Signed __attribute__((vector_size(4 * Count)));
  typedef float Floats __attribute__((vector_size(4 * Count)));
};

template <typename C>
[[gnu::always_inline]] inline void gather(const uint8_t* text, const uint32_t* ends, typename C::Bytes& cells) {
  uint64_t of[C::count];
  for (size_t i = 0; i < C::count; ++i) std::memcpy(&of[i], text + ends[i] - kLongest, kLongest);
  if constexpr (C::count == 8) {
    cells = typename C::Bytes{of[0], of[1], of[2], of[3], of[4], of[5], of[6], of[7]};
  } else {
    cells = typename C::Bytes{of[0], of[1], of[2], of[3]};
  }
}

// Ten to the power of each lane, from 0 to 7.
template <typename C>
[[gnu::always_inline]] inline void raise_ten(const typename C::Signed& powers, typename C::Floats& values) {
  if constexpr (C::count == 8) {
    values = __builtin_shuffle(typename C::Floats{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7}, powers);
  } else {
    values = __builtin_shuffle(typename C::Floats{1e0, 1e1, 1e2, 1e3}, typename C::Floats{1e4, 1e5, 1e6, 1e7}, powers);
  }
}

// The number of digits after the decimal point, from its mark: the lowest bit of its byte; zero without a mark. A multiplication
// moves the number from the nibble selected by the mark to the top.
template <typename C>
[[gnu::always_inline]] inline void count_behind(const typename C::Bytes& point, typename C::Signed& digits) {
  using Small = typename C::Small;
  constexpr uint32_t by_place = 14u << 28 | 12u << 20 | 10u << 12 | 8u << 4 | 6u << 24 | 4u << 16 | 2u << 8;
  const Small folded = __builtin_convertvector(point, Small) | __builtin_convertvector(point >> 32, Small) << 4;
  digits = reinterpret_cast<typename C::Signed>((folded * by_place) >> 29);
}

// Converts the cells that end at `ends`, each of which begins after the previous end; a lane of `bad` is nonzero if the cell is
// not a short number. Digits and powers of ten are exact, so each quotient is the nearest float32.
template <typename C>
[[gnu::always_inline]] inline void convert(const uint8_t* text, const uint32_t* ends, float* values, typename C::Bytes& bad) {
  using Bytes = typename C::Bytes;
  using Small = typename C::Small;
  using Signed = typename C::Signed;
  using Floats = typename C::Floats;
  Bytes cells;
  gather<C>(text, ends, cells);
  Small before, behind;
  std::memcpy(&before, ends - 1, sizeof before);
  std::memcpy(&behind, ends, sizeof behind);
  const Small length = behind - before - 1;
  // Digits become their values; bytes before the cell, which are the lower ones, become zero.
  const Bytes shift = __builtin_convertvector(64 - 8 * length, Bytes) & 63;
  const Bytes first = (Bytes{} + 0xff) << shift;
  Bytes bytes = (cells ^ each('0')) & -((Bytes{} + 1) << shift);
  const auto is_negative = reinterpret_cast<Bytes>((bytes & first) == (first & each('-' ^ '0')));
  bytes &= ~(first & is_negative);
  // The only remaining non-digit may be one decimal point.
  const Bytes marks = (((bytes & each(0x7f)) + each(0x7f - 9)) | bytes) & each(0x80);
  const auto has_point = reinterpret_cast<Bytes>(marks != 0);
  const Bytes lowest = marks >> 7;
  const Bytes point = (marks - lowest) | marks;
  const Small digits =
      length + __builtin_convertvector(is_negative, Small) + __builtin_convertvector(has_point, Small);
  const auto is_long = reinterpret_cast<Signed>((digits - 1 > kMostDigits - 1) | (length - 1 > kLongest - 1));
  bad = ((bytes & point) ^ (point & each('.' ^ '0'))) | (marks & (marks - 1)) | __builtin_convertvector(is_long, Bytes);
  // The digits before the point move next to those after it, and are combined into pairs, groups of four and one number.
  const Bytes whole = (lowest - 1) & has_point;
  bytes = (bytes & ~whole & ~point) | ((bytes & whole) << 8);
  auto pairs = reinterpret_cast<typename C::Pairs>(bytes);
  pairs = (pairs & 0xff) * 10 + (pairs >> 8);
  auto fours = reinterpret_cast<typename C::Fours>(pairs);
  fours = (fours & 0xffff) * 100 + (fours >> 16);
  const auto halves = reinterpret_cast<Bytes>(fours);
  const auto upper = reinterpret_cast<Signed>(__builtin_convertvector(halves, Small));
  const auto lower = reinterpret_cast<Signed>(__builtin_convertvector(halves >> 32, Small));
  Signed fraction;
  count_behind<C>(lowest, fraction);
  Floats power;
  raise_ten<C>(fraction, power);
  const Floats sizes = (__builtin_convertvector(upper, Floats) * 10000 + __builtin_convertvector(lower, Floats)) / power;
  const Small numbers = reinterpret_cast<Small>(sizes) | __builtin_convertvector(is_negative, Small) << 31;
  std::memcpy(values, &numbers, sizeof numbers);
}

// Whether one of the first `count` lanes is bad.
template <typename C>
[[gnu::always_inline]] inline bool is_any(const typename C::Bytes& bad, size_t count) {
  uint64_t all = 0;
  for (size_t i = 0; i < count; ++i) all |= bad[i];
  return all != 0;
}

// Cells whose ends are located before their numbers are converted.
constexpr size_t kBatch = 64;

// Ends written at a time, regardless of how many there are: a loop over the actual number would end unpredictably for the
// branch predictor.
constexpr size_t kEndsAtOnce = 12;

template <typename Find>
[[gnu::always_inline]] inline size_t find_ends(
    Find find, const uint8_t* text, size_t length, uint8_t delimiter, size_t wanted, uint32_t* ends) {
  size_t found = 0;
  for (size_t block = 0; found < wanted && block + kBlock <= length; block += kBlock) {
    auto places = find(text + block, delimiter);
    const size_t count = __builtin_popcountll(places);
    for (size_t i = 0; i < std::max(count, kEndsAtOnce); ++i) {
      ends[found + i] = block + (places ? __builtin_ctzll(places) : kBlock);
      places &= places - 1;
    }
    found += count;
  }
  return std::min(found, wanted);
}

template <typename C, typename Find>
[[gnu::always_inline]] inline size_t read_by(Find find, const uint8_t* text, size_t length, size_t from, uint8_t delimiter,
                                             float* values, size_t count, size_t& behind) {
  size_t read = 0;
  // A cell is loaded together with the bytes before it.
  while (read < count && from >= kLongest && from < length) {
    // The position before the first cell, then the ends.
    uint32_t places[1 + kBatch + kBlock + kEndsAtOnce];
    uint32_t* const ends = places + 1;
    ends[-1] = -1;
    const auto* const begin = text + from;
    const auto wanted = std::min(kBatch, count - read);
    const auto found = find_ends(find, begin, length - from, delimiter, wanted, ends);
    size_t done = 0;
    typename C::Bytes bad;
    while (done + C::count <= found) {
      convert<C>(begin, ends + done, values + read, bad);
      if (is_any<C>(bad, C::count)) break;
      done += C::count;
      read += C::count;
    }
    const auto rest = found - done;
    if (0 < rest && rest < C::count) {
      float last[C::count];
      std::fill(ends + found, ends + done + C::count, ends[found - 1]);
      convert<C>(begin, ends + done, last, bad);
      if (!is_any<C>(bad, rest)) {
        std::copy(last, last + rest, values + read);
        done += rest;
        read += rest;
      }
    }
    from += ends[static_cast<ptrdiff_t>(done) - 1] + 1;
    if (done < wanted) break;
  }
  behind = from;
  return read;
}

struct FindBy64 {
  CRESSET_AVX512 uint64_t operator()(const uint8_t* block, uint8_t byte) const {
    return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(block), _mm512_set1_epi8(static_cast<char>(byte)));
  }
};

struct FindBy32 {
  CRESSET_AVX2 uint64_t operator()(const uint8_t* block, uint8_t byte) const {
    const auto half = [&](const uint8_t* from) CRESSET_AVX2 {
      const auto bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
      const auto is_equal = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(static_cast<char>(byte)));
      return static_cast<uint32_t>(_mm256_movemask_epi8(is_equal));
    };
    return half(block) | static_cast<uint64_t>(half(block + 32)) << 32;
  }
};

CRESSET_AVX512 size_t read_8(const uint8_t* text, size_t length, size_t from, uint8_t delimiter, float* values, size_t count,
                             size_t& behind) {
  return read_by<Cells<8>>(FindBy64(), text, length, from, delimiter, values, count, behind);
}

CRESSET_AVX2 size_t read_4(const uint8_t* text, size_t length, size_t from, uint8_t delimiter, float* values, size_t count,
                           size_t& behind) {
  return read_by<Cells<4>>(FindBy32(), text, length, from, delimiter, values, count, behind);
}

#else

constexpr auto read_8 = nullptr;
constexpr auto read_4 = nullptr;

#endif

using Read = size_t (*)(const uint8_t*, size_t, size_t, uint8_t, float*, size_t, size_t&);

}  // namespace

size_t read_decimals(rust::Slice<const uint8_t> text, size_t from, uint8_t delimiter, rust::Slice<float> values, size_t& behind) {
  static const Read by = for_processor<Read>(read_8, read_4, nullptr);
  behind = from;
  return by ? by(text.data(), text.size(), from, delimiter, values.data(), values.size(), behind) : 0;
}

}  // namespace cresset
