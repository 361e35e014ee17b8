// Process-wide settings: signals, logging and exit.
#pragma once
#include <csignal>
#include <cstdint>
#include <cstdlib>

#include <c10/util/Logging.h>

namespace cresset {

[[noreturn]] inline void exit_at_once(std::int32_t code) { std::_Exit(code); }

// Makes a write beyond the file size limit fail (EFBIG) instead of ending the process.
inline void ignore_file_size_signal() { std::signal(SIGXFSZ, SIG_IGN); }

// Sets the minimum level of libtorch's log messages to error.
inline void log_errors_only() { FLAGS_caffe2_log_level = c10::GLOG_ERROR; }

}  // namespace cresset
