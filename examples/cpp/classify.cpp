// Classifies rows of numbers with an exported model, using libtorch alone.
// Usage: classify MODEL.pt ROWS.csv
#include <torch/script.h>

#include <cstdio>
#include <fstream>
#include <sstream>

// Every row of the file as raw values, float (rows, values).
torch::Tensor read_rows(const char* path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(std::string("cannot read ") + path);
  std::vector<float> values;
  int64_t rows = 0;
  for (std::string line, cell; std::getline(file, line); ++rows) {
    for (std::stringstream cells(line); std::getline(cells, cell, ',');) values.push_back(std::stof(cell));
  }
  return torch::tensor(values).view({rows, -1});
}

int main(int argc, char** argv) try {
  if (argc != 3) throw std::runtime_error("usage: classify MODEL.pt ROWS.csv");
  auto model = torch::jit::load(argv[1]);
  auto names = model.attr("classes").toList();
  torch::InferenceMode no_gradients;

  auto rows = read_rows(argv[2]);
  auto logits = model.forward({rows}).toTensor();
  auto prediction = model.get_method("predict")({rows}).toTuple();
  auto classes = prediction->elements()[0].toTensor();
  auto probabilities = prediction->elements()[1].toTensor();

  for (int64_t row = 0; row < rows.size(0); ++row) {
    auto index = classes[row].item<int64_t>();
    std::printf("%s %.4f", names.get(index).toStringRef().c_str(), probabilities[row][index].item<double>());
    for (int64_t i = 0; i < logits.size(1); ++i) std::printf(" %.9g", logits[row][i].item<double>());
    std::printf("\n");
  }
} catch (const c10::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.what_without_backtrace());
  return 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
