// Classifies rows of a table with an exported model, using libtorch alone: one row per line of the standard input, the cells of the
// model's columns separated by tabs. Usage: classify_table MODEL.pt < ROWS.tsv
#include <torch/script.h>

#include <cstdio>
#include <iostream>
#include <sstream>

int main(int argc, char** argv) try {
  if (argc != 2) throw std::runtime_error("usage: classify_table MODEL.pt < ROWS.tsv");
  auto model = torch::jit::load(argv[1]);
  auto names = model.run_method("class_names").toList();
  torch::InferenceMode no_gradients;

  c10::List<c10::List<std::string>> rows;
  for (std::string line; std::getline(std::cin, line);) {
    c10::List<std::string> row;
    std::istringstream cells(line + '\t');
    for (std::string cell; std::getline(cells, cell, '\t');) row.push_back(cell);
    rows.push_back(row);
  }

  auto prediction = model.run_method("predict_table", rows).toTuple();
  auto classes = prediction->elements()[0].toTensor();
  auto probabilities = prediction->elements()[1].toTensor();
  for (int64_t row = 0; row < classes.size(0); ++row) {
    auto index = classes[row].item<int64_t>();
    std::printf("%s %.6f\n", names.get(index).toStringRef().c_str(), probabilities[row][index].item<double>());
  }
} catch (const c10::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.what_without_backtrace());
  return 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
