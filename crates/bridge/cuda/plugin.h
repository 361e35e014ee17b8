// What the files of the CUDA plugin share.
//
// The plugin is a shared object of its own, because it needs CUDA's headers and libtorch_cuda.so, and the program must be
// built and run without either. It is opened at run time; its functions are plain C, so that they are found by name.
#pragma once
#include <cstdio>
#include <exception>

#include <ATen/Context.h>
#include <c10/util/Exception.h>

#define CRESSET_EXPORT extern "C" __attribute__((visibility("default")))

namespace cresset {

// Runs `work`. What it throws becomes text in `problem`, cut off to `length` bytes with the NUL. True if all went well.
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

// A new object for a CUDA device, which is made ready; null where that fails.
template <typename Made>
Made* made_for(int device, char* problem, size_t length) noexcept {
  Made* made = nullptr;
  attempt(problem, length, [&] {
    at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
    made = new Made(static_cast<c10::DeviceIndex>(device));
  });
  return made;
}

// Runs `work` and forgets what it throws: for cleaning up after a failure that was told already.
template <typename Work>
void try_to(Work&& work) noexcept {
  char ignored[1];
  attempt(ignored, sizeof ignored, work);
}

}  // namespace cresset
