// The kernels of `mm` and `addmm` for the CPU are replaced in libtorch's dispatcher, so that each caller profits: linear layers
// and their gradients, LSTM layers, and exported models. Small products, and all that are not plain, go to libtorch's own kernels.
#include "cresset-bridge/src/kernels/matrix_product.h"

#include <atomic>

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/addmm_cpu_dispatch.h>
#include <ATen/ops/mm_cpu_dispatch.h>

#include "cresset-bridge/src/kernels/dispatcher.h"
#include "cresset-bridge/src/kernels/processor.h"

namespace cresset {
namespace {

// The fewest multiplications for which oneDNN is faster: it takes 10 µs more for a call.
constexpr int64_t kLeastMultiplications = int64_t{2} << 20;

std::atomic<bool> are_products_enabled{true};
std::atomic<uint64_t> product_runs{0};

// Whether a matrix or its transpose is stored row by row.
bool is_plain_matrix(const at::Tensor& matrix) {
  if (matrix.dim() != 2 || matrix.scalar_type() != at::kFloat || matrix.layout() != at::kStrided) return false;
  const auto rows = matrix.size(0), columns = matrix.size(1);
  return (matrix.stride(1) == 1 && matrix.stride(0) >= columns) || (matrix.stride(0) == 1 && matrix.stride(1) >= rows);
}

bool suits_onednn(const at::Tensor& left, const at::Tensor& right) {
  return has_matrix_products() && are_products_enabled.load(std::memory_order_relaxed) && is_plain_matrix(left) && is_plain_matrix(right) &&
         left.size(1) == right.size(0) && left.size(0) * left.size(1) * right.size(1) >= kLeastMultiplications &&
         at::globalContext().userEnabledMkldnn();
}

at::Tensor multiply_by_onednn(const at::Tensor& left, const at::Tensor& right, const std::optional<at::Tensor>& bias) {
  using Linear = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                            c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto linear =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<Linear>();
  product_runs.fetch_add(1, std::memory_order_relaxed);
  return linear.redispatch(c10::DispatchKeySet(c10::DispatchKey::CPU), left, right.t(), bias, "none",
                           c10::List<std::optional<at::Scalar>>(), "");
}

at::Tensor mm(const at::Tensor& left, const at::Tensor& right) {
  return suits_onednn(left, right) ? multiply_by_onednn(left, right, std::nullopt) : at::cpu::mm(left, right);
}

at::Tensor addmm(const at::Tensor& bias, const at::Tensor& left, const at::Tensor& right, const at::Scalar& beta,
                 const at::Scalar& alpha) {
  const auto is_bias = bias.dim() == 1 && bias.scalar_type() == at::kFloat && bias.is_contiguous() && right.dim() == 2 &&
                       bias.size(0) == right.size(1) && beta.equal(1) && alpha.equal(1);
  if (!is_bias || !suits_onednn(left, right)) return at::cpu::addmm(bias, left, right, beta, alpha);
  return multiply_by_onednn(left, right, bias);
}

[[maybe_unused]] const bool are_products_replaced =
    has_matrix_products() && replace_cpu_kernels([](torch::Library& library) {
      library.impl("mm", TORCH_FN(mm));
      library.impl("addmm", TORCH_FN(addmm));
    });

}  // namespace

bool has_matrix_products() {
#if defined(__x86_64__)
  static const bool has =
      !__builtin_cpu_is("intel") && for_processor(true, false, false) && at::hasMKL() && at::hasMKLDNN();
  return has;
#else
  return false;
#endif
}

void multiply_into(at::Tensor& out, const at::Tensor& left, const at::Tensor& right) {
  if (suits_onednn(left, right)) {
    out.copy_(multiply_by_onednn(left, right, std::nullopt));
  } else {
    at::cpu::mm_out(out, left, right);
  }
}

void enable_matrix_products(bool is_enabled) { are_products_enabled.store(is_enabled, std::memory_order_relaxed); }

uint64_t matrix_product_runs() { return product_runs.load(std::memory_order_relaxed); }

}  // namespace cresset
