// Classifies the rows of a CSV file of numbers with a torch.export package, using libtorch only.
// Usage: classify_pt2 MODEL.pt2 ROWS.csv SHAPE, where SHAPE is the shape of an example, such as 1,8,8
#include <caffe2/serialize/inline_container.h>
#include <torch/torch.h>

#include <cstdio>
#include <fstream>
#include <sstream>

// libtorch 2.11 exports this class, but its packages omit the header.
namespace torch::nativert {
class ModelRunner;
class ModelRunnerHandle {
 public:
  ModelRunnerHandle(const std::string& package, const std::string& model);
  ModelRunnerHandle(ModelRunnerHandle&&) = delete;
  ~ModelRunnerHandle();
  c10::IValue run(const std::vector<c10::IValue>& inputs, const std::unordered_map<std::string, c10::IValue>& named);

 private:
  std::unique_ptr<ModelRunner> runner_;
};
}  // namespace torch::nativert

template <typename Number>
std::vector<Number> numbers(std::istream& text) {
  std::vector<Number> found;
  for (std::string cell, line; std::getline(text, line);) {
    for (std::istringstream cells(line); std::getline(cells, cell, ',');) found.push_back(std::stod(cell));
  }
  return found;
}

int main(int argc, char** argv) try {
  if (argc != 4) throw std::runtime_error("usage: classify_pt2 MODEL.pt2 ROWS.csv SHAPE");
  torch::nativert::ModelRunnerHandle model(argv[1], "model");
  auto [data, size] = caffe2::serialize::PyTorchStreamReader(argv[1]).getRecord("extra/classes.txt");
  std::istringstream lines(std::string(static_cast<const char*>(data.get()), size));
  std::vector<std::string> names;
  for (std::string name; std::getline(lines, name);) names.push_back(name);

  std::ifstream file(argv[2]);
  std::istringstream shape(argv[3]);
  auto values = numbers<float>(file);
  auto sizes = numbers<int64_t>(shape);
  sizes.insert(sizes.begin(), -1);
  torch::InferenceMode no_gradients;
  auto logits = model.run({torch::tensor(values).view(sizes)}, {}).toTensor();
  for (int64_t row = 0; row < logits.size(0); ++row) {
    auto [probability, index] = logits[row].softmax(0).max(0);
    std::printf("%s %.4f", names.at(index.item<int64_t>()).c_str(), probability.item<double>());
    for (int64_t n = 0; n < logits.size(1); ++n) std::printf(" %.9g", logits[row][n].item<double>());
    std::printf("\n");
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
