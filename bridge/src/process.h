// The end of the process.
#pragma once
#include <cstdint>
#include <cstdlib>

namespace cresset {

inline void exit_at_once(std::int32_t code) { std::_Exit(code); }

}  // namespace cresset
