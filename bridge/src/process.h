// The end of the process.
#pragma once
#include <cstdint>
#include <cstdlib>

#include <c10/util/Logging.h>

namespace cresset {

[[noreturn]] inline void exit_at_once(std::int32_t code) { std::_Exit(code); }

// Sets the level that libtorch's logs are shown from.
inline void log_errors_only() { FLAGS_caffe2_log_level = c10::GLOG_ERROR; }

}  // namespace cresset
