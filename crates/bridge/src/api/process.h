// The process: its signals, its logs and its end.
#pragma once
#include <csignal>
#include <cstdint>
#include <cstdlib>

#include <c10/util/Logging.h>

namespace cresset {

[[noreturn]] inline void exit_at_once(std::int32_t code) { std::_Exit(code); }

// Has a write beyond the limit on a file's size fail (EFBIG), which would end the process otherwise.
inline void ignore_file_size_signal() { std::signal(SIGXFSZ, SIG_IGN); }

// Sets the level that libtorch's logs are shown from.
inline void log_errors_only() { FLAGS_caffe2_log_level = c10::GLOG_ERROR; }

}  // namespace cresset
