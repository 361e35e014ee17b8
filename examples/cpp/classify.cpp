// Classifies PNG files with an exported model, using libtorch and libpng.
// Usage: classify MODEL.pt IMAGE.png…
#include <png.h>
#include <torch/script.h>

#include <cstdio>

// Decodes a PNG file to a uint8 tensor (1, 3, height, width).
torch::Tensor read_png(const std::string& path) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&png, path.c_str())) throw std::runtime_error(path + ": " + png.message);
  png.format = PNG_FORMAT_RGB;
  auto pixels = torch::zeros({png.height, png.width, 3}, torch::kUInt8);
  if (!png_image_finish_read(&png, nullptr, pixels.data_ptr(), 0, nullptr)) {
    throw std::runtime_error(path + ": " + png.message);
  }
  return pixels.permute({2, 0, 1}).unsqueeze(0);
}

int main(int argc, char** argv) try {
  if (argc < 3) throw std::runtime_error("usage: classify MODEL.pt IMAGE.png…");
  auto model = torch::jit::load(argv[1]);
  auto names = model.attr("classes").toList();
  torch::InferenceMode no_gradients;

  for (int i = 2; i < argc; ++i) {
    auto image = model.get_method("pixels")({read_png(argv[i])});
    auto logits = model.forward({image}).toTensor()[0];
    auto prediction = model.get_method("predict")({image}).toTuple();
    auto index = prediction->elements()[0].toTensor().item<int64_t>();
    auto probabilities = prediction->elements()[1].toTensor();

    std::printf("%s %s %.4f", argv[i], names.get(index).toStringRef().c_str(), probabilities[0][index].item<double>());
    for (int64_t n = 0; n < logits.size(0); ++n) std::printf(" %.9g", logits[n].item<double>());
    std::printf("\n");
  }
} catch (const c10::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.what_without_backtrace());
  return 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
