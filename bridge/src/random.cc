#include "cresset-bridge/src/random.h"

#include <mutex>

#include <ATen/CPUGeneratorImpl.h>

namespace cresset {

std::unique_ptr<at::Tensor> cpu_generator_state() {
  auto generator = at::detail::getDefaultCPUGenerator();
  std::lock_guard<std::mutex> lock(generator.mutex());
  return std::make_unique<at::Tensor>(generator.get_state());
}

void set_cpu_generator_state(const at::Tensor& state) {
  auto generator = at::detail::getDefaultCPUGenerator();
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

}  // namespace cresset
