// Converts C++ exceptions to Err: c10::Error without its backtrace, all others by what().
#pragma once
#include <c10/util/Exception.h>

namespace rust::behavior {
template <typename Try, typename Fail>
static void trycatch(Try&& attempt, Fail&& fail) noexcept {
  try {
    attempt();
  } catch (const c10::Error& error) {
    fail(error.what_without_backtrace());
  } catch (const std::exception& error) {
    fail(error.what());
  } catch (...) {
    fail("unknown C++ exception");
  }
}
}  // namespace rust::behavior
