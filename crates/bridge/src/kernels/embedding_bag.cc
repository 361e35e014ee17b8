// libtorch adds each row of an `embedding_bag` by a call of a function that it looks up each time, and its sparse gradient has an entry
// for each use of a row, which `coalesce` sorts and adds afterwards. This adds the rows in a loop, and the gradients of a row as they
// come, so that only rows that differ are sorted.
#include "cresset-bridge/src/kernels/embedding_bag.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_sparse_coo_tensor_unsafe.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "cresset-bridge/src/kernels/plain.h"

namespace cresset {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows that are requested from memory before they are added: a table is larger than the caches.
constexpr int64_t kAhead = 16;

// Additions that are worth a thread.
constexpr int64_t kAdditionsPerThread = 1 << 15;

// Calls `work` with the width as a constant if it is a common one, so that its loops are unrolled.
template <typename Work>
void with_width(int64_t width, const Work& work) {
  switch (width) {
    case 2: return work(std::integral_constant<int64_t, 2>());
    case 4: return work(std::integral_constant<int64_t, 4>());
    case 8: return work(std::integral_constant<int64_t, 8>());
    case 16: return work(std::integral_constant<int64_t, 16>());
    default: return work(width);
  }
}

// Adds the rows of the table that the lines `from` to `to` list.
template <typename Width>
void add_rows(const float* table, const int64_t* rows, int64_t length, int64_t padding, int64_t from, int64_t to, Width width,
              float* sums) {
  const auto* const end = rows + to * length;
  for (int64_t line = from; line < to; ++line) {
    const auto *const first = rows + line * length, *const last = first + length;
    auto* const sum = sums + line * width;
    for (const auto* row = first; row < last; ++row) {
      if (row + kAhead < end) __builtin_prefetch(table + row[kAhead] * width);
      if (*row == padding) continue;
      const auto* const values = table + *row * width;
      for (int64_t i = 0; i < width; ++i) sum[i] += values[i];
    }
  }
}

// The sum of the gradients of each row, in the order in which rows are first seen.
struct RowGradients {
  std::vector<int64_t> rows;
  std::vector<float> values;
};

// Adds the gradients of the lines, (N, width), to the rows that they list. `place_of` has an entry for each row of the table, all −1,
// before and after.
template <typename Width>
void add_gradients(const float* gradients, const at::Tensor& rows, int64_t padding, Width width, std::vector<int32_t>& place_of,
                   RowGradients& sums) {
  const auto lines = rows.size(0), length = rows.size(1);
  const auto* row = rows.const_data_ptr<int64_t>();
  const auto* const end = row + lines * length;
  for (int64_t line = 0; line < lines; ++line) {
    const auto* const gradient = gradients + line * width;
    for (int64_t i = 0; i < length; ++i, ++row) {
      if (row + kAhead < end) __builtin_prefetch(&place_of[row[kAhead]]);
      if (*row == padding) continue;
      auto& place = place_of[*row];
      if (place < 0) {
        place = static_cast<int32_t>(sums.rows.size());
        sums.rows.push_back(*row);
        sums.values.resize(sums.values.size() + width, 0);
      }
      auto* const sum = sums.values.data() + place * width;
      for (int64_t j = 0; j < width; ++j) sum[j] += gradient[j];
    }
  }
  for (auto seen : sums.rows) place_of[seen] = -1;
}

// A row and its place.
struct Entry {
  int64_t row, place;
};

// The entries of `rows`, all below `count`, in the order of their rows (radix sort).
std::vector<Entry> sorted_entries(const std::vector<int64_t>& rows, int64_t count) {
  constexpr int kBits = 11;
  constexpr int64_t kDigits = 1 << kBits;
  std::vector<Entry> entries(rows.size()), other(rows.size());
  for (size_t place = 0; place < rows.size(); ++place) entries[place] = {rows[place], static_cast<int64_t>(place)};
  for (int shift = 0; (count - 1) >> shift > 0; shift += kBits) {
    const auto digit = [&](const Entry& entry) { return (entry.row >> shift) & (kDigits - 1); };
    std::array<size_t, kDigits + 1> first{};
    for (const auto& entry : entries) ++first[digit(entry) + 1];
    for (int64_t i = 0; i < kDigits; ++i) first[i + 1] += first[i];
    for (const auto& entry : entries) other[first[digit(entry)]++] = entry;
    std::swap(entries, other);
  }
  return entries;
}

// The sparse tensor of these rows, which is coalesced: its rows are sorted.
at::Tensor sparse(const RowGradients& sums, int64_t count, int64_t width, const at::TensorOptions& options) {
  const auto entries = static_cast<int64_t>(sums.rows.size());
  const auto sorted = sorted_entries(sums.rows, count);
  auto indices = at::empty({1, entries}, options.dtype(at::kLong));
  auto values = at::empty({entries, width}, options);
  auto* const index = indices.mutable_data_ptr<int64_t>();
  auto* const value = values.mutable_data_ptr<float>();
  for (int64_t i = 0; i < entries; ++i) {
    index[i] = sorted[i].row;
    std::copy_n(sums.values.data() + sorted[i].place * width, width, value + i * width);
  }
  return at::_sparse_coo_tensor_unsafe(indices, values, {count, width}, values.options().layout(at::kSparse), /*is_coalesced=*/true);
}

// The autograd function.
struct BagSums : torch::autograd::Function<BagSums> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& weight, const at::Tensor& rows, int64_t padding) {
    const auto lines = rows.size(0), length = rows.size(1), width = weight.size(1);
    auto sums = at::zeros({lines, width}, weight.options().requires_grad(false));
    const auto* const table = weight.const_data_ptr<float>();
    const auto* const listed = rows.const_data_ptr<int64_t>();
    auto* const out = sums.mutable_data_ptr<float>();
    const auto grain = std::max<int64_t>(1, kAdditionsPerThread / std::max<int64_t>(1, length * width));
    at::parallel_for(0, lines, grain, [&](int64_t from, int64_t to) {
      with_width(width, [&](auto w) { add_rows(table, listed, length, padding, from, to, w, out); });
    });
    context->save_for_backward({rows});
    context->saved_data["count"] = weight.size(0);
    context->saved_data["padding"] = padding;
    return sums;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto rows = context->get_saved_variables()[0];
    const auto gradient = gradients[0].contiguous();
    const auto count = context->saved_data["count"].toInt(), padding = context->saved_data["padding"].toInt(), width = gradient.size(1);
    // Kept, because to fill it costs more than the rest for a large table.
    thread_local std::vector<int32_t> place_of;
    if (static_cast<int64_t>(place_of.size()) < count) place_of.resize(count, -1);
    RowGradients sums;
    with_width(width, [&](auto w) { add_gradients(gradient.const_data_ptr<float>(), rows, padding, w, place_of, sums); });
    return {sparse(sums, count, width, gradient.options()), {}, {}};
  }
};

// Whether all rows are those of the table.
bool are_rows(const at::Tensor& rows, int64_t count) {
  const auto* const row = rows.const_data_ptr<int64_t>();
  // One condition a row without a branch.
  bool are = true;
  for (int64_t i = 0; i < rows.numel(); ++i) are &= static_cast<uint64_t>(row[i]) < static_cast<uint64_t>(count);
  return are;
}

bool are_indices(const at::Tensor& rows) {
  return rows.device().is_cpu() && rows.scalar_type() == at::kLong && rows.is_contiguous();
}

bool is_table(const at::Tensor& weight) {
  return is_plain(weight) && weight.dim() == 2 && weight.size(0) <= std::numeric_limits<int32_t>::max();
}

}  // namespace

std::unique_ptr<at::Tensor> bag_sums(const at::Tensor& weight, const at::Tensor& rows, int64_t padding, bool has_sparse_gradient) {
  const bool has_gradient = at::GradMode::is_enabled() && weight.requires_grad();
  if (has_gradient && !has_sparse_gradient) return nullptr;
  if (!is_table(weight) || !are_indices(rows) || rows.dim() != 2 || !are_rows(rows, weight.size(0))) return nullptr;
  return std::make_unique<at::Tensor>(BagSums::apply(weight, rows, padding));
}

bool adagrad_rows(const at::Tensor& weight, const at::Tensor& sums, const at::Tensor& rows, const at::Tensor& gradients, double rate,
                  double epsilon) {
  const auto count = rows.numel();
  if (!is_table(weight) || !is_plain(sums) || sums.numel() != weight.size(0)) return false;
  if (!are_indices(rows) || !are_rows(rows, weight.size(0))) return false;
  const auto width = weight.size(1);
  if (!is_plain(gradients) || gradients.dim() != 2 || gradients.size(0) != count || gradients.size(1) != width) return false;
  const auto* const row = rows.const_data_ptr<int64_t>();
  const auto* const gradient = gradients.const_data_ptr<float>();
  auto *const table = weight.mutable_data_ptr<float>(), *const squares = sums.mutable_data_ptr<float>();
  const auto step = [&](auto width) {
    for (int64_t i = 0; i < count; ++i) {
      if (i + kAhead < count) {
        __builtin_prefetch(table + row[i + kAhead] * width, 1);
        __builtin_prefetch(squares + row[i + kAhead], 1);
      }
      const auto* const of_row = gradient + i * width;
      float square = 0;
      for (int64_t j = 0; j < width; ++j) square += of_row[j] * of_row[j];
      const auto sum = squares[row[i]] += square / static_cast<float>(width);
      const auto factor = static_cast<float>(rate / (std::sqrt(sum) + epsilon));
      auto* const values = table + row[i] * width;
      for (int64_t j = 0; j < width; ++j) values[j] -= factor * of_row[j];
    }
  };
  with_width(width, step);
  return true;
}

}  // namespace cresset
