// Autocast: operations that are safe in lower precision run in it.
#pragma once
#include <cstdint>
#include <memory>

#include "rust/cxx.h"

namespace cresset {

// Enables autocast on a device type and restores the previous state on destruction.
class Autocast {
 public:
  Autocast(bool cuda, bool half);
  ~Autocast();
  Autocast(const Autocast&) = delete;

 private:
  bool cuda_, was_enabled_;
  std::int8_t was_kind_;
};

std::unique_ptr<Autocast> enter_autocast(bool cuda, bool half);
void allow_tf32(bool allow);

}  // namespace cresset
