// Classifies texts with an exported model, using libtorch alone. Usage: classify_text MODEL.pt TEXT…
#include <torch/script.h>

#include <cstdio>

int main(int argc, char** argv) try {
  if (argc < 3) throw std::runtime_error("usage: classify_text MODEL.pt TEXT…");
  auto model = torch::jit::load(argv[1]);
  auto names = model.attr("classes").toList();
  torch::InferenceMode no_gradients;

  c10::List<std::string> texts;
  for (int i = 2; i < argc; ++i) texts.push_back(argv[i]);
  auto prediction = model.get_method("predict_text")({texts}).toTuple();
  auto indexes = prediction->elements()[0].toTensor();
  auto probabilities = prediction->elements()[1].toTensor();
  for (int64_t row = 0; row < indexes.size(0); ++row) {
    auto index = indexes[row].item<int64_t>();
    std::printf("%s %.6f\n", names.get(index).toStringRef().c_str(), probabilities[row][index].item<double>());
  }
} catch (const c10::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.what_without_backtrace());
  return 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
