#include "cresset-bridge/src/api/random.h"

#include <mutex>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

namespace cresset {
namespace {

std::unique_ptr<at::Tensor> state_of(at::Generator generator) {
  std::lock_guard<std::mutex> lock(generator.mutex());
  return std::make_unique<at::Tensor>(generator.get_state());
}

void set_state_of(at::Generator generator, const at::Tensor& state) {
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

at::Generator of_cuda(int64_t device) {
  return at::globalContext().defaultGenerator(at::Device(at::kCUDA, static_cast<at::DeviceIndex>(device)));
}

}  // namespace

std::unique_ptr<at::Tensor> cpu_generator_state() { return state_of(at::detail::getDefaultCPUGenerator()); }

void set_cpu_generator_state(const at::Tensor& state) { set_state_of(at::detail::getDefaultCPUGenerator(), state); }

std::unique_ptr<at::Tensor> cuda_generator_state(int64_t device) { return state_of(of_cuda(device)); }

void set_cuda_generator_state(int64_t device, const at::Tensor& state) { set_state_of(of_cuda(device), state); }

}  // namespace cresset
