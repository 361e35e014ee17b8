// Prints the class of each row of a table, by an exported model on the first GPU. Usage: classes MODEL.pt ROWS.csv
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
  if (argc != 3) throw std::runtime_error("usage: classes MODEL.pt ROWS.csv");
  auto model = torch::jit::load(argv[1], torch::kCUDA);
  torch::InferenceMode no_gradients;
  auto names = model.attr("classes").toList();
  auto classes = model.forward({read(argv[2]).to(torch::kCUDA)}).toTensor().argmax(1).cpu();
  for (int64_t row = 0; row < classes.size(0); ++row) {
    std::printf("%s\n", names.get(classes[row].item<int64_t>()).toStringRef().c_str());
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
