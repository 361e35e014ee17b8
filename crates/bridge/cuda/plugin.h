// Shared declarations of the CUDA plugin.
//
// The plugin is a separate shared library, because it needs CUDA's headers and libtorch_cuda.so, while the program must build
// and run without them. It is opened at run time; its functions have C linkage, so that they are found by name.
#pragma once
#include <cstdio>
#include <exception>

#include <ATen/Context.h>
#include <c10/util/Exception.h>

#define CRESSET_EXPORT extern "C" __attribute__((visibility("default")))

namespace cresset {

// Runs `work`. Writes the message of an exception to `problem`, truncated to `length` bytes including the NUL. True on success.
template <typename Work>
bool attempt(char* problem, size_t length, Work&& work) noexcept {
  const auto tell = [&](const char* text) { std::snprintf(problem, length, "%s", text); };
  try {
    work();
    return true;
  } catch (const c10::Error& error) {
    tell(error.what_without_backtrace());
  } catch (const std::exception& error) {
    tell(error.what());
  } catch (...) {
    tell("an exception of an unknown type");
  }
  return false;
}

// Creates an object for a CUDA device, and initializes CUDA; null on failure.
template <typename Made>
Made* made_for(int device, char* problem, size_t length) noexcept {
  Made* made = nullptr;
  attempt(problem, length, [&] {
    at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
    made = new Made(static_cast<c10::DeviceIndex>(device));
  });
  return made;
}

// Runs `work` and ignores exceptions: for cleanup after an error that was already reported.
template <typename Work>
void try_to(Work&& work) noexcept {
  char ignored[1];
  attempt(ignored, sizeof ignored, work);
}

}  // namespace cresset
