// Prints the class of each row of a table, by an exported model. Usage: classes MODEL.pt ROWS.csv cuda|cpu
#include <dlfcn.h>
#include <torch/script.h>

#include <cstdio>
#include <fstream>
#include <sstream>

torch::Tensor read(const char* path) {
  std::ifstream file(path);
  std::vector<float> values;
  int64_t rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    std::stringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) values.push_back(std::stof(cell));
  }
  return torch::tensor(values).view({rows, -1});
}

int main(int argc, char** argv) try {
  if (argc != 4) throw std::runtime_error("usage: classes MODEL.pt ROWS.csv cuda|cpu");
  const torch::Device device(argv[3]);
  // The program is linked with the CPU half of libtorch, so that it starts without CUDA.
  if (device.is_cuda() && !dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) throw std::runtime_error(dlerror());
  auto model = torch::jit::load(argv[1], device);
  torch::InferenceMode no_gradients;
  auto names = model.attr("classes").toList();
  auto classes = model.forward({read(argv[2]).to(device)}).toTensor().argmax(1).cpu();
  for (int64_t row = 0; row < classes.size(0); ++row) {
    std::printf("%s\n", names.get(classes[row].item<int64_t>()).toStringRef().c_str());
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
