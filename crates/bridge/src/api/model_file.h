// A TorchScript file: its records, and its module, whose operations are checked before any of its code runs.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <caffe2/serialize/inline_container.h>

#include "rust/cxx.h"

struct FoundOperation;

namespace cresset {

class ScriptModule;

class ModelFile {
 public:
  // Reads from a duplicate of the descriptor.
  explicit ModelFile(int descriptor);
  // The size of a record in bytes, or -1 if it does not exist.
  int64_t size(rust::Str record) const;
  rust::Vec<uint8_t> read(rust::Str record) const;
  // Compiles and checks the code and creates the module, unless the code has an operation that is not in `allowed` (one name
  // per line). `found` receives the operations, even if the file cannot be loaded.
  std::unique_ptr<ScriptModule> load(rust::Str device, rust::Str allowed, rust::Vec<FoundOperation>& found) const;
  // Allows all operations, and uses libtorch's loader, which supports older formats.
  std::unique_ptr<ScriptModule> load_trusted(rust::Str device, rust::Vec<FoundOperation>& found) const;

 private:
  std::shared_ptr<caffe2::serialize::ReadAdapterInterface> bytes_;
  std::shared_ptr<caffe2::serialize::PyTorchStreamReader> reader_;
};

std::unique_ptr<ModelFile> open_model_file(int descriptor);
// The names of all operations registered in libtorch.
rust::Vec<rust::String> operation_names();

}  // namespace cresset
