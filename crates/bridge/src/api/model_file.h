// A TorchScript file: its records, and its module, of which nothing runs before its operations were looked through.
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
  // Reads from a copy of the descriptor.
  explicit ModelFile(int descriptor);
  // The bytes of a record, or -1 if there is none of this name.
  int64_t size(rust::Str record) const;
  rust::Vec<uint8_t> read(rust::Str record) const;
  // Compiles the code, looks through it and makes the module, unless there is an operation that `allowed`, a name a line, does not
  // have. What was found goes into `found`, also if the file cannot be loaded.
  std::unique_ptr<ScriptModule> load(rust::Str device, rust::Str allowed, rust::Vec<FoundOperation>& found) const;
  // The same with all operations, and by libtorch's own loader, which knows older formats.
  std::unique_ptr<ScriptModule> load_trusted(rust::Str device, rust::Vec<FoundOperation>& found) const;

 private:
  std::shared_ptr<caffe2::serialize::ReadAdapterInterface> bytes_;
  std::shared_ptr<caffe2::serialize::PyTorchStreamReader> reader_;
};

std::unique_ptr<ModelFile> open_model_file(int descriptor);
// The names of all operations that libtorch has.
rust::Vec<rust::String> operation_names();

}  // namespace cresset
