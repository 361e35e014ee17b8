#include "cresset-bridge/src/api/autocast.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

namespace cresset {
namespace {

at::DeviceType type(bool cuda) { return cuda ? at::kCUDA : at::kCPU; }

}  // namespace

Autocast::Autocast(bool cuda, bool half)
    : cuda_(cuda),
      was_enabled_(at::autocast::is_autocast_enabled(type(cuda))),
      was_kind_(static_cast<std::int8_t>(at::autocast::get_autocast_dtype(type(cuda)))) {
  at::autocast::set_autocast_enabled(type(cuda), true);
  at::autocast::set_autocast_dtype(type(cuda), half ? at::kHalf : at::kBFloat16);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  // The cache of cast weights is kept until the outermost autocast scope ends.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(type(cuda_), was_enabled_);
  at::autocast::set_autocast_dtype(type(cuda_), static_cast<at::ScalarType>(was_kind_));
}

std::unique_ptr<Autocast> enter_autocast(bool cuda, bool half) { return std::make_unique<Autocast>(cuda, half); }

void allow_tf32(bool allow) {
  at::globalContext().setAllowTF32CuBLAS(allow);
  at::globalContext().setAllowTF32CuDNN(allow);
}

}  // namespace cresset
