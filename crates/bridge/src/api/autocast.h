// Autocast: operations that are safe in fewer bits compute in them.
#pragma once
#include <cstdint>
#include <memory>

#include "rust/cxx.h"

namespace cresset {

// What autocast was on a device, and on leaving is again.
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
