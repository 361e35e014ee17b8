// libtorch looks the vectors up by several operations for each index, then copies them next to the other values; backward, it copies them
// out again, and sorts the rows of a sparse gradient. This writes each vector to its place and reads each gradient there. A column has rows
// of its own, so threads take columns, and the gradients of a row are added in the order of the examples with any number of threads.
#include "cresset-bridge/src/kernels/column_vectors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_sparse_coo_tensor_unsafe.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "cresset-bridge/src/kernels/plain.h"

namespace cresset {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Lines whose rows are requested from memory before they are copied: a table is larger than the caches.
constexpr int64_t kLines = 32;

// A sparse gradient of fewer uses than a row in this many is left to libtorch: the marks of all rows are read.
constexpr int64_t kRowsPerUse = 64;

struct Copy {
  int64_t from, to, length;
};

struct Column {
  int64_t feature, place, first, count;
};

// What is looked up.
struct Plan {
  const Copy* copies;
  int64_t copy_count;
  const Column* columns;
  int64_t column_count, dense_count;
  int64_t features, outputs, width;
};

// The row of a category; the first one of its column if it is unknown. As libtorch's operations do, those of the dense table compute in
// float32, and those of the sparse one in whole numbers.
int32_t row_of_dense(float code, const Column& column) {
  const auto place = std::max(code + 1, 0.0f);
  const bool is_known = place <= static_cast<float>(column.count);
  return static_cast<int32_t>((is_known ? place : 0.0f) + static_cast<float>(column.first));
}

int32_t row_of_sparse(float code, const Column& column) {
  const bool is_known = code > -1 && code < static_cast<float>(column.count);
  return static_cast<int32_t>(column.first + (is_known ? 1 + static_cast<int64_t>(code) : 0));
}

void write_lines(const Plan& plan, const float* values, const float* const* tables, int64_t lines, int64_t from, int64_t to,
                 int64_t width, int32_t* rows, float* out) {
  for (int64_t start = from; start < to; start += kLines) {
    const auto end = std::min(to, start + kLines);
    for (int64_t c = 0; c < plan.column_count; ++c) {
      const auto& column = plan.columns[c];
      const bool is_dense = c < plan.dense_count;
      const auto* const table = tables[is_dense ? 0 : 1];
      for (auto line = start; line < end; ++line) {
        const auto code = values[line * plan.features + column.feature];
        const auto row = is_dense ? row_of_dense(code, column) : row_of_sparse(code, column);
        rows[c * lines + line] = row;
        __builtin_prefetch(table + row * width);
      }
    }
    for (auto line = start; line < end; ++line) {
      const auto* const read = values + line * plan.features;
      auto* const written = out + line * plan.outputs;
      for (int64_t i = 0; i < plan.copy_count; ++i) {
        const auto& copy = plan.copies[i];
        std::memcpy(written + copy.to, read + copy.from, copy.length * sizeof(float));
      }
      for (int64_t c = 0; c < plan.column_count; ++c) {
        const auto* const vector = tables[c < plan.dense_count ? 0 : 1] + rows[c * lines + line] * width;
        std::memcpy(written + plan.columns[c].place, vector, width * sizeof(float));
      }
    }
  }
}

// Adds the gradients of the vectors of a column to the rows of a dense gradient, which are cleared first.
void add_dense(const Column& column, const int32_t* rows, const float* gradients, int64_t stride, int64_t lines, int64_t width,
               float* sums) {
  std::memset(sums + column.first * width, 0, (column.count + 1) * width * sizeof(float));
  for (int64_t line = 0; line < lines; ++line) {
    const auto* const gradient = gradients + line * stride + column.place;
    auto* const sum = sums + rows[line] * width;
    for (int64_t i = 0; i < width; ++i) sum[i] += gradient[i];
  }
}

// The rows of a column that a batch uses, as bits, and how many are before each word of them.
struct UsedRows {
  std::vector<uint64_t> bits;
  std::vector<int32_t> before;
  int32_t count = 0;

  UsedRows(const Column& column, const int32_t* rows, int64_t lines) : bits(column.count / 64 + 1), before(bits.size()) {
    for (int64_t line = 0; line < lines; ++line) {
      const auto row = rows[line] - column.first;
      bits[row / 64] |= uint64_t{1} << (row % 64);
    }
    for (size_t word = 0; word < bits.size(); ++word) {
      before[word] = count;
      count += __builtin_popcountll(bits[word]);
    }
  }

  // The place of a used row among them.
  int64_t place(int64_t row) const {
    return before[row / 64] + __builtin_popcountll(bits[row / 64] & ((uint64_t{1} << (row % 64)) - 1));
  }
};

// The used rows of a column, and the sums of the gradients of their vectors.
void add_sparse(const Column& column, const UsedRows& used, const int32_t* rows, const float* gradients, int64_t stride, int64_t lines,
                int64_t width, int64_t* index, float* sums) {
  std::memset(sums, 0, used.count * width * sizeof(float));
  for (size_t word = 0; word < used.bits.size(); ++word) {
    for (auto bits = used.bits[word]; bits != 0; bits &= bits - 1) {
      *index++ = column.first + static_cast<int64_t>(word) * 64 + __builtin_ctzll(bits);
    }
  }
  for (int64_t line = 0; line < lines; ++line) {
    const auto* const gradient = gradients + line * stride + column.place;
    auto* const sum = sums + used.place(rows[line] - column.first) * width;
    for (int64_t i = 0; i < width; ++i) sum[i] += gradient[i];
  }
}

// The autograd function.
struct ColumnVectors : torch::autograd::Function<ColumnVectors> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& dense, const at::Tensor& sparse, const at::Tensor& values,
                            const at::Tensor& copies, const at::Tensor& columns, int64_t dense_columns, int64_t outputs) {
    const auto lines = values.size(0);
    const Plan plan{reinterpret_cast<const Copy*>(copies.const_data_ptr<int64_t>()),
                    copies.numel() / 3,
                    reinterpret_cast<const Column*>(columns.const_data_ptr<int64_t>()),
                    columns.numel() / 4,
                    dense_columns,
                    values.size(1),
                    outputs,
                    dense.size(1)};
    auto out = at::empty({lines, outputs}, values.options());
    auto rows = at::empty({plan.column_count, lines}, values.options().dtype(at::kInt));
    const float* const tables[] = {dense.const_data_ptr<float>(), sparse.const_data_ptr<float>()};
    const auto* const read = values.const_data_ptr<float>();
    auto* const row = rows.mutable_data_ptr<int32_t>();
    auto* const written = out.mutable_data_ptr<float>();
    const auto grain = std::max<int64_t>(kLines, (1 << 15) / outputs);
    at::parallel_for(0, lines, grain, [&](int64_t from, int64_t to) {
      write_lines(plan, read, tables, lines, from, to, plan.width, row, written);
    });
    context->save_for_backward({rows, columns});
    context->saved_data["dense_columns"] = dense_columns;
    context->saved_data["dense_rows"] = dense.size(0);
    context->saved_data["sparse_rows"] = sparse.size(0);
    context->saved_data["width"] = plan.width;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list outputs) {
    const auto saved = context->get_saved_variables();
    const auto &rows = saved[0], &plan = saved[1];
    const auto gradient = outputs[0].contiguous();
    const auto dense_columns = context->saved_data["dense_columns"].toInt(), width = context->saved_data["width"].toInt();
    const auto dense_rows = context->saved_data["dense_rows"].toInt(), sparse_rows = context->saved_data["sparse_rows"].toInt();
    const auto* const columns = reinterpret_cast<const Column*>(plan.const_data_ptr<int64_t>());
    const auto count = plan.numel() / 4, lines = rows.size(1), stride = gradient.size(1);
    const auto* const row = rows.const_data_ptr<int32_t>();
    const auto* const values = gradient.const_data_ptr<float>();
    variable_list gradients(7);
    if (dense_columns > 0 && context->needs_input_grad(0)) {
      gradients[0] = at::empty({dense_rows, width}, gradient.options());
      auto* const sums = gradients[0].mutable_data_ptr<float>();
      at::parallel_for(0, dense_columns, 1, [&](int64_t from, int64_t to) {
        for (auto c = from; c < to; ++c) {
          add_dense(columns[c], row + c * lines, values, stride, lines, width, sums);
        }
      });
    }
    if (dense_columns < count && context->needs_input_grad(1)) {
      const auto sparse_count = count - dense_columns;
      std::vector<std::unique_ptr<UsedRows>> used(sparse_count);
      at::parallel_for(0, sparse_count, 1, [&](int64_t from, int64_t to) {
        for (auto c = from; c < to; ++c) {
          used[c] = std::make_unique<UsedRows>(columns[dense_columns + c], row + (dense_columns + c) * lines, lines);
        }
      });
      std::vector<int64_t> starts{0};
      for (const auto& of_column : used) starts.push_back(starts.back() + of_column->count);
      auto indices = at::empty({1, starts.back()}, gradient.options().dtype(at::kLong));
      auto sums = at::empty({starts.back(), width}, gradient.options());
      auto* const index = indices.mutable_data_ptr<int64_t>();
      auto* const sum = sums.mutable_data_ptr<float>();
      at::parallel_for(0, sparse_count, 1, [&](int64_t from, int64_t to) {
        for (auto c = from; c < to; ++c) {
          const auto column = dense_columns + c;
          add_sparse(columns[column], *used[c], row + column * lines, values, stride, lines, width, index + starts[c],
                     sum + starts[c] * width);
        }
      });
      gradients[1] = at::_sparse_coo_tensor_unsafe(indices, sums, {sparse_rows, width}, sums.options().layout(at::kSparse),
                                                   /*is_coalesced=*/true);
    }
    return gradients;
  }
};

at::Tensor whole(rust::Slice<const int64_t> values) {
  auto tensor = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<int64_t>());
  return tensor;
}

bool is_table(const at::Tensor& weight, int64_t width) {
  return is_plain(weight) && weight.dim() == 2 && weight.size(1) == width && weight.size(0) <= std::numeric_limits<int32_t>::max();
}

}  // namespace

std::unique_ptr<at::Tensor> column_vectors(const at::Tensor& rows, rust::Slice<const int64_t> copies, rust::Slice<const int64_t> columns,
                                           int64_t dense_columns, const at::Tensor& dense, const at::Tensor& sparse) {
  if (!is_plain(rows) || rows.dim() != 2 || rows.requires_grad() || columns.empty()) return nullptr;
  const auto width = dense.defined() ? dense.size(1) : sparse.size(1);
  const auto none = [&] { return at::empty({0, width}, rows.options()); };
  const auto dense_table = dense.defined() ? dense : none(), sparse_table = sparse.defined() ? sparse : none();
  if (!is_table(dense_table, width) || !is_table(sparse_table, width)) return nullptr;
  const auto count = static_cast<int64_t>(columns.size() / 4);
  int64_t outputs = 0;
  for (int64_t c = 0; c < count; ++c) {
    const auto* const column = &columns[4 * c];
    const auto& table = c < dense_columns ? dense_table : sparse_table;
    if (column[0] >= rows.size(1) || column[2] + column[3] >= table.size(0)) return nullptr;
    outputs += width;
  }
  for (size_t i = 0; i < copies.size(); i += 3) {
    if (copies[i] + copies[i + 2] > rows.size(1)) return nullptr;
    outputs += copies[i + 2];
  }
  const bool has_sparse_gradient = at::GradMode::is_enabled() && sparse_table.requires_grad();
  if (has_sparse_gradient && sparse_table.size(0) > kRowsPerUse * rows.size(0) * (count - dense_columns)) return nullptr;
  return std::make_unique<at::Tensor>(
      ColumnVectors::apply(dense_table, sparse_table, rows, whole(copies), whole(columns), dense_columns, outputs));
}

}  // namespace cresset
