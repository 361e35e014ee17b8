// libtorch runs a dozen operations forward and two dozen backward for each time step, each over small matrices and each split
// among the threads. Here each direction of the sequence, and each block of rows, runs from one end to the other on one core:
// one matrix product and one pass over the gates per time step. The part that does not depend on the previous state is one
// product over all time steps, and so are the weight gradients.
#include "cresset-bridge/src/kernels/lstm.h"

#include <array>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "cresset-bridge/src/ffi.rs.h"
#include "cresset-bridge/src/kernels/plain.h"
#include "cresset-bridge/src/kernels/product.h"
#include "cresset-bridge/src/kernels/vector.h"

namespace cresset {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kDirections = 2, kGates = 4;

// The largest hidden size whose weights stay in a core's cache: 1 MiB.
constexpr int64_t kMostHidden = 256;

// Minimum number of rows per core.
constexpr int64_t kLeastRows = 16;

// Arguments of a pass over the gates of some rows, each given by its first row and the row stride. `gates` and
// `gate_gradients` hold input, forget, cell and output gates side by side.
struct LstmPass {
  int64_t rows, hidden;
  // Forward: before and after activation. Backward: after activation.
  float* gates;
  int64_t gates_row;
  // The previous cell state, null if it is zero; the cell state, its tanh, and the output.
  const float* cell_before;
  float *cell, *squashed, *output;
  int64_t values_row;
  // The gradients: of the output from the layers above and from the next time step (null if there is none); of the cell state from
  // the next time step, replaced by that of this one; and of the gates before activation.
  const float *output_gradient, *carried;
  float *cell_gradient, *gate_gradients;
};

template <typename L>
[[gnu::always_inline]] inline void go_on(const LstmPass& w) {
  using V = typename L::Vector;
  for (int64_t row = 0; row < w.rows; ++row) {
    auto* const gates = w.gates + row * w.gates_row;
    for (int64_t i = 0; i < w.hidden; i += L::width) {
      V input = at<L>(gates + i), forget = at<L>(gates + w.hidden + i);
      V candidate = at<L>(gates + 2 * w.hidden + i), out = at<L>(gates + 3 * w.hidden + i);
      squash<L>(input), squash<L>(forget), squash_both_ways<L>(candidate), squash<L>(out);
      at<L>(gates + i) = input, at<L>(gates + w.hidden + i) = forget;
      at<L>(gates + 2 * w.hidden + i) = candidate, at<L>(gates + 3 * w.hidden + i) = out;
      V cell = input * candidate;
      if (w.cell_before) cell += forget * at<L>(w.cell_before + row * w.values_row + i);
      at<L>(w.cell + row * w.values_row + i) = cell;
      squash_both_ways<L>(cell);
      at<L>(w.squashed + row * w.values_row + i) = cell;
      at<L>(w.output + row * w.values_row + i) = out * cell;
    }
  }
}

template <typename L>
[[gnu::always_inline]] inline void go_back(const LstmPass& w) {
  using V = typename L::Vector;
  for (int64_t row = 0; row < w.rows; ++row) {
    const auto* const gates = w.gates + row * w.gates_row;
    auto* const gradients = w.gate_gradients + row * w.gates_row;
    for (int64_t i = 0; i < w.hidden; i += L::width) {
      const V input = at<L>(gates + i), forget = at<L>(gates + w.hidden + i);
      const V candidate = at<L>(gates + 2 * w.hidden + i), out = at<L>(gates + 3 * w.hidden + i);
      const V squashed = at<L>(w.squashed + row * w.values_row + i);
      V of_output = at<L>(w.output_gradient + row * w.values_row + i);
      V of_cell = {};
      if (w.carried) {
        of_output += at<L>(w.carried + row * w.hidden + i);
        of_cell += at<L>(w.cell_gradient + row * w.hidden + i);
      }
      of_cell += of_output * out * (1 - squashed * squashed);
      at<L>(gradients + i) = of_cell * candidate * input * (1 - input);
      at<L>(gradients + 2 * w.hidden + i) = of_cell * input * (1 - candidate * candidate);
      at<L>(gradients + 3 * w.hidden + i) = of_output * squashed * out * (1 - out);
      V of_forget = {};
      if (w.cell_before) of_forget += of_cell * at<L>(w.cell_before + row * w.values_row + i) * forget * (1 - forget);
      at<L>(gradients + w.hidden + i) = of_forget;
      at<L>(w.cell_gradient + row * w.hidden + i) = of_cell * forget;
    }
  }
}

CRESSET_AVX512 void go_on_by_16(const LstmPass& w) { go_on<Lanes<16>>(w); }
CRESSET_AVX2 void go_on_by_8(const LstmPass& w) { go_on<Lanes<8>>(w); }
void go_on_by_4(const LstmPass& w) { go_on<Lanes<4>>(w); }
CRESSET_AVX512 void go_back_by_16(const LstmPass& w) { go_back<Lanes<16>>(w); }
CRESSET_AVX2 void go_back_by_8(const LstmPass& w) { go_back<Lanes<8>>(w); }
void go_back_by_4(const LstmPass& w) { go_back<Lanes<4>>(w); }

// The sizes of a layer, and the offsets of a direction's part of a time step in each of its tensors.
struct Layout {
  int64_t length, batch, hidden;

  // Row strides in (length, N, 2 · 4 · hidden) and (length, N, 2 · hidden); cells have the layout of outputs.
  int64_t gates_row() const { return kDirections * kGates * hidden; }
  int64_t row() const { return kDirections * hidden; }
  int64_t gates(int64_t member, int64_t row, int64_t direction) const {
    return (member * batch + row) * gates_row() + direction * kGates * hidden;
  }
  int64_t values(int64_t member, int64_t row_of_batch, int64_t direction) const {
    return (member * batch + row_of_batch) * row() + direction * hidden;
  }

  // Calls `work` with a direction, the first row and the number of rows, on all cores.
  template <typename Work>
  void part(const Work& work) const {
    const auto wanted = std::max<int64_t>(1, at::get_num_threads() / kDirections);
    const auto rows = std::max(kLeastRows, (batch + wanted - 1) / wanted);
    const auto blocks = (batch + rows - 1) / rows;
    at::parallel_for(0, kDirections * blocks, 1, [&](int64_t begin, int64_t end) {
      for (auto i = begin; i < end; ++i) {
        const auto first = i / kDirections * rows;
        work(i % kDirections, first, std::min(rows, batch - first));
      }
    });
  }

  // The position in the sequence that a direction processes at `step`.
  int64_t member(int64_t direction, int64_t step) const { return direction == 0 ? step : length - 1 - step; }
};

// Tensors saved for the backward pass.
struct Kept {
  at::Tensor output, gates, cells, squashed;
};

Kept go_through(const Layout& layout, at::Tensor gates, const std::array<at::Tensor, kDirections>& from_state) {
  static const auto walk = for_processor(go_on_by_16, go_on_by_8, go_on_by_4);
  const auto hidden = layout.hidden, length = layout.length;
  const auto empty = [&] { return at::empty({length, layout.batch, layout.row()}, gates.options()); };
  Kept kept{empty(), gates, empty(), empty()};
  auto *const output = kept.output.mutable_data_ptr<float>(), *const gate = gates.mutable_data_ptr<float>();
  auto *const cell = kept.cells.mutable_data_ptr<float>(), *const squashed = kept.squashed.mutable_data_ptr<float>();
  std::array<std::vector<float>, kDirections> weights;
  for (int64_t direction = 0; direction < kDirections; ++direction) {
    weights[direction].resize(kGates * hidden * hidden);
    transpose(kGates * hidden, hidden, from_state[direction].const_data_ptr<float>(), hidden, weights[direction].data(),
              kGates * hidden);
  }
  layout.part([&](int64_t direction, int64_t row, int64_t rows) {
    for (int64_t step = 0; step < length; ++step) {
      const auto member = layout.member(direction, step);
      const auto here = layout.values(member, row, direction);
      const auto before = step == 0 ? -1 : layout.values(layout.member(direction, step - 1), row, direction);
      auto* const gates_here = gate + layout.gates(member, row, direction);
      if (step > 0) {
        multiply({.rows = rows,
                  .depth = hidden,
                  .columns = kGates * hidden,
                  .left = output + before,
                  .left_row = layout.row(),
                  .left_step = 1,
                  .right = weights[direction].data(),
                  .right_row = kGates * hidden,
                  .out = gates_here,
                  .out_row = layout.gates_row(),
                  .to_rows = nullptr,
                  .to_columns = nullptr,
                  .adds_to_out = true});
      }
      walk({.rows = rows,
            .hidden = hidden,
            .gates = gates_here,
            .gates_row = layout.gates_row(),
            .cell_before = step == 0 ? nullptr : cell + before,
            .cell = cell + here,
            .squashed = squashed + here,
            .output = output + here,
            .values_row = layout.row(),
            .output_gradient = nullptr,
            .carried = nullptr,
            .cell_gradient = nullptr,
            .gate_gradients = nullptr});
    }
  });
  return kept;
}

// The gradients of the gates before activation, (length, N, 2 · 4 · hidden).
at::Tensor go_back_through(const Layout& layout, const Kept& kept, const at::Tensor& output_gradient,
                           const std::array<at::Tensor, kDirections>& from_state) {
  static const auto walk = for_processor(go_back_by_16, go_back_by_8, go_back_by_4);
  const auto hidden = layout.hidden, length = layout.length;
  auto gradients = at::empty_like(kept.gates);
  auto* const gate_gradients = gradients.mutable_data_ptr<float>();
  layout.part([&](int64_t direction, int64_t row, int64_t rows) {
    std::vector<float> cell_gradient(rows * hidden), carried(rows * hidden);
    for (auto step = length; step-- > 0;) {
      const auto member = layout.member(direction, step);
      const auto here = layout.values(member, row, direction);
      const auto before = step == 0 ? -1 : layout.values(layout.member(direction, step - 1), row, direction);
      const auto gates_here = layout.gates(member, row, direction);
      walk({.rows = rows,
            .hidden = hidden,
            .gates = kept.gates.mutable_data_ptr<float>() + gates_here,
            .gates_row = layout.gates_row(),
            .cell_before = step == 0 ? nullptr : kept.cells.const_data_ptr<float>() + before,
            .cell = nullptr,
            .squashed = kept.squashed.mutable_data_ptr<float>() + here,
            .output = nullptr,
            .values_row = layout.row(),
            .output_gradient = output_gradient.const_data_ptr<float>() + here,
            .carried = step + 1 == length ? nullptr : carried.data(),
            .cell_gradient = cell_gradient.data(),
            .gate_gradients = gate_gradients + gates_here});
      if (step == 0) break;
      multiply({.rows = rows,
                .depth = kGates * hidden,
                .columns = hidden,
                .left = gate_gradients + gates_here,
                .left_row = layout.gates_row(),
                .left_step = 1,
                .right = from_state[direction].const_data_ptr<float>(),
                .right_row = hidden,
                .out = carried.data(),
                .out_row = hidden});
    }
  });
  return gradients;
}

// The autograd function.
struct Layer : torch::autograd::Function<Layer> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& inputs, const at::Tensor& from_input_0,
                            const at::Tensor& from_state_0, const at::Tensor& input_bias_0, const at::Tensor& state_bias_0,
                            const at::Tensor& from_input_1, const at::Tensor& from_state_1, const at::Tensor& input_bias_1,
                            const at::Tensor& state_bias_1) {
    const Layout layout{inputs.size(0), inputs.size(1), from_state_0.size(1)};
    const auto from_input = at::cat({from_input_0, from_input_1});
    const auto bias = at::cat({input_bias_0 + state_bias_0, input_bias_1 + state_bias_1});
    auto gates = at::addmm(bias, inputs.flatten(0, 1), from_input.t()).view({layout.length, layout.batch, layout.gates_row()});
    const auto kept = go_through(layout, std::move(gates), {from_state_0, from_state_1});
    context->save_for_backward(
        {inputs, from_input, from_state_0, from_state_1, kept.output, kept.gates, kept.cells, kept.squashed});
    return kept.output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &inputs = saved[0], &from_input = saved[1];
    const std::array<at::Tensor, kDirections> from_state{saved[2], saved[3]};
    const Kept kept{saved[4], saved[5], saved[6], saved[7]};
    const Layout layout{inputs.size(0), inputs.size(1), from_state[0].size(1)};
    const auto of_gates = go_back_through(layout, kept, gradients[0].contiguous(), from_state);
    const auto rows = layout.gates_row() / kDirections;
    const auto of_all = of_gates.flatten(0, 1);
    const auto of_bias = of_all.sum(0);
    const auto of_weights = at::mm(of_all.t(), inputs.flatten(0, 1));
    variable_list found{context->needs_input_grad(0) ? at::mm(of_all, from_input).view(inputs.sizes()) : at::Tensor()};
    for (int64_t direction = 0; direction < kDirections; ++direction) {
      // The gates of each time step together with the outputs of the previous one.
      const int64_t after = layout.length - 1, first = direction == 0 ? 1 : 0;
      const auto gates = of_gates.narrow(2, direction * rows, rows).narrow(0, first, after).flatten(0, 1);
      const auto states = kept.output.narrow(2, direction * layout.hidden, layout.hidden).narrow(0, 1 - first, after).flatten(0, 1);
      const auto bias = of_bias.narrow(0, direction * rows, rows);
      found.insert(found.end(), {of_weights.narrow(0, direction * rows, rows), at::mm(gates.t(), states), bias, bias});
    }
    return found;
  }
};

bool suits(const at::Tensor& inputs, const LstmDirection& direction) {
  const auto hidden = direction.from_state.size(1);
  return is_plain(inputs) && inputs.dim() == 3 && inputs.numel() > 0 && is_plain(direction.from_input) &&
         is_plain(direction.from_state) && is_plain(direction.input_bias) && is_plain(direction.state_bias) &&
         hidden % kLanes == 0 && hidden <= kMostHidden && direction.from_input.size(1) == inputs.size(2);
}

}  // namespace

std::unique_ptr<at::Tensor> lstm_layer(const at::Tensor& inputs, const LstmDirection& forwards, const LstmDirection& backwards) {
  const auto can = has_small_products() && !at::autocast::is_autocast_enabled(at::kCPU);
  if (!can || !suits(inputs, forwards) || !suits(inputs, backwards)) return nullptr;
  return std::make_unique<at::Tensor>(Layer::apply(inputs, forwards.from_input, forwards.from_state, forwards.input_bias,
                                                   forwards.state_bias, backwards.from_input, backwards.from_state,
                                                   backwards.input_bias, backwards.state_bias));
}

}  // namespace cresset
