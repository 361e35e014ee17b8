// A process that adds up its rank with those of the others by the plugin's NCCL backend, on the GPU of its rank.
// Usage: nccl PLUGIN STORE RANK SIZE, where STORE is the path of a file that all share
#include <dlfcn.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/torch.h>

#include <cstdio>

using NewNccl = c10d::Backend* (*)(const c10::intrusive_ptr<c10d::Store>*, int, int, int64_t, char*, size_t);

int main(int argc, char** argv) try {
  if (argc != 5) throw std::runtime_error("usage: nccl PLUGIN STORE RANK SIZE");
  const int rank = std::stoi(argv[3]), size = std::stoi(argv[4]);
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) throw std::runtime_error(dlerror());
  auto* plugin = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
  if (!plugin) throw std::runtime_error(dlerror());
  const auto make = reinterpret_cast<NewNccl>(dlsym(plugin, "cresset_new_nccl"));

  c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::FileStore>(argv[2], size);
  char problem[1024] = "";
  auto* made = make(&store, rank, size, 60000, problem, sizeof problem);
  if (!made) throw std::runtime_error(problem);
  auto backend = c10::intrusive_ptr<c10d::Backend>::reclaim(made);

  std::vector<at::Tensor> tensors = {torch::full({1 << 20}, rank + 1, torch::Device(torch::kCUDA, rank))};
  backend->allreduce(tensors)->wait();
  // On the same stream, so this waits for the sum.
  const auto wrong = (tensors[0] != size * (size + 1) / 2).sum().item<int64_t>();
  backend->shutdown();
  if (wrong != 0) throw std::runtime_error(std::to_string(wrong) + " values are wrong");
  std::printf("%d of %d\n", rank, size);
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
