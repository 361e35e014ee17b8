#include "cresset-bridge/src/api/model_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <torch/csrc/jit/operator_upgraders/upgraders_entry.h>
#include <torch/csrc/jit/runtime/operator.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/csrc/jit/serialization/import_read.h>
#include <torch/csrc/jit/serialization/import_source.h>

#include "cresset-bridge/src/api/conforming.h"
#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"
#include "cresset-bridge/src/api/operations.h"
#include "cresset-bridge/src/api/script.h"

namespace cresset {
namespace {

using at::IValue;
using caffe2::serialize::PyTorchStreamReader;

// Reads the file of a descriptor, even if its path now names another file.
class Descriptor final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit Descriptor(int descriptor) : descriptor_(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)) {
    TORCH_CHECK(descriptor_ >= 0, std::strerror(errno));
  }
  ~Descriptor() override { close(descriptor_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  size_t size() const override {
    struct stat about{};
    TORCH_CHECK(fstat(descriptor_, &about) == 0, std::strerror(errno));
    return about.st_size;
  }

  size_t read(uint64_t position, void* to, size_t count, const char* what) const override {
    size_t done = 0;
    while (done < count) {
      auto read = pread(descriptor_, static_cast<char*>(to) + done, count - done, static_cast<off_t>(position + done));
      if (read < 0 && errno == EINTR) continue;
      TORCH_CHECK(read >= 0, "cannot read the file: ", std::strerror(errno), " (", what, ")");
      if (read == 0) break;
      done += read;
    }
    return done;
  }

 private:
  int descriptor_;
};

// Creates the module as `torch::jit::load` does, but checks the code of a class before it creates an object of it, which
// may run code (`__setstate__`), and checks values against their types.
class Loader {
 public:
  Loader(PyTorchStreamReader& reader, c10::Device device, Operations& operations)
      : reader_(reader),
        device_(device),
        operations_(operations),
        importer_(
            unit_, &constants_, [this](const std::string& qualifier) { return source(qualifier); }, reader.version()) {}

  torch::jit::Module load() {
    TORCH_CHECK(!reader_.hasRecord("model.json"), "its format is older than PyTorch 1.2");
    torch::jit::populate_upgraders_graph_map();
    auto constants = read("constants");
    TORCH_CHECK(constants.isTuple(), "its constants are not a tuple");
    for (const auto& constant : constants.toTupleRef().elements()) constants_.push_back(constant);
    auto root = read("data");
    TORCH_CHECK(root.isModule(), "it does not contain a module");
    // Lists may have changed since.
    for (const auto& object : objects_) check(*object);
    return torch::jit::Module(root.toObject());
  }

 private:
  std::shared_ptr<torch::jit::Source> source(const std::string& qualifier) {
    auto path = "code/" + qualifier;
    std::replace(path.begin() + 5, path.end(), '.', '/');
    path += ".py";
    if (!reader_.hasRecord(path)) return nullptr;
    auto [bytes, size] = reader_.getRecord(path);
    return std::make_shared<torch::jit::Source>(std::string(static_cast<const char*>(bytes.get()), size), path, 1);
  }

  IValue read(const std::string& name) {
    return torch::jit::readArchiveAndTensors(
        name, "", "", [this](const c10::QualifiedName& name) { return resolve(name); },
        [this](const c10::StrongTypePtr& type, IValue state) { return make(type, std::move(state)); }, device_, reader_);
  }

  c10::StrongTypePtr resolve(const c10::QualifiedName& name) {
    auto type = importer_.loadType(name);
    operations_.note_type(*type);
    operations_.look(*unit_);
    TORCH_CHECK(!operations_.is_refused(), "an operation is not allowed");
    return {unit_, std::move(type)};
  }

  c10::intrusive_ptr<c10::ivalue::Object> make(const c10::StrongTypePtr& type, IValue state) {
    auto of_class = type.type_->cast<c10::ClassType>();
    TORCH_CHECK(of_class, "it contains an object of ", type.type_->annotation_str(), ", which is not a class");
    if (auto* method = of_class->findMethod("__setstate__")) {
      const auto& arguments = method->getSchema().arguments();
      TORCH_CHECK(arguments.size() == 2 && conforms(state, *arguments[1].type()), "the state of an object of ",
                  of_class->annotation_str(), " does not have the type declared by its class");
    }
    auto object = torch::jit::ObjLoaderFunc(type, std::move(state));
    check(*object);
    objects_.push_back(object);
    return object;
  }

  static void check(const c10::ivalue::Object& object) {
    const auto& type = *object.type();
    for (size_t slot = 0; slot < type.numAttributes(); ++slot) {
      TORCH_CHECK(conforms(object.getSlot(slot), *type.getAttribute(slot)), "the attribute ", type.getAttributeName(slot),
                  " of an object of ", type.annotation_str(), " does not have the type declared by its class");
    }
  }

  PyTorchStreamReader& reader_;
  c10::Device device_;
  Operations& operations_;
  std::shared_ptr<torch::jit::CompilationUnit> unit_ = std::make_shared<torch::jit::CompilationUnit>();
  std::vector<IValue> constants_;
  torch::jit::SourceImporter importer_;
  std::vector<c10::intrusive_ptr<c10::ivalue::Object>> objects_;
};

void put(const Operations& operations, bool all, rust::Vec<FoundOperation>& found) {
  for (const auto& [place, count] : operations.counts()) {
    const auto& [method, kind] = place;
    found.push_back({method, kind, count, all || operations.is_allowed(kind)});
  }
}

}  // namespace

ModelFile::ModelFile(int descriptor)
    : bytes_(std::make_shared<Descriptor>(descriptor)), reader_(std::make_shared<PyTorchStreamReader>(bytes_)) {}

int64_t ModelFile::size(rust::Str record) const {
  auto name = std::string(record);
  return reader_->hasRecord(name) ? static_cast<int64_t>(reader_->getRecordSize(name)) : -1;
}

rust::Vec<uint8_t> ModelFile::read(rust::Str record) const {
  auto [bytes, size] = reader_->getRecord(std::string(record));
  rust::Vec<uint8_t> read;
  read.reserve(size);
  const auto* begin = static_cast<const uint8_t*>(bytes.get());
  std::copy(begin, begin + size, std::back_inserter(read));
  return read;
}

std::unique_ptr<ScriptModule> ModelFile::load(rust::Str device, rust::Str allowed,
                                              rust::Vec<FoundOperation>& found) const {
  Operations operations{std::string(allowed)};
  try {
    auto module = Loader(*reader_, c10::Device(std::string(device)), operations).load();
    put(operations, false, found);
    return std::make_unique<ScriptModule>(std::move(module));
  } catch (...) {
    put(operations, false, found);
    throw;
  }
}

std::unique_ptr<ScriptModule> ModelFile::load_trusted(rust::Str device, rust::Vec<FoundOperation>& found) const {
  torch::jit::ExtraFilesMap extra;
  auto unit = std::make_shared<torch::jit::CompilationUnit>();
  auto module = torch::jit::import_ir_module(unit, bytes_, c10::Device(std::string(device)), extra);
  Operations operations("");
  operations.look(*unit);
  put(operations, true, found);
  return std::make_unique<ScriptModule>(std::move(module));
}

std::unique_ptr<ModelFile> open_model_file(int descriptor) { return std::make_unique<ModelFile>(descriptor); }

rust::Vec<rust::String> operation_names() {
  std::set<std::string> names;
  for (const auto& of : torch::jit::getAllOperators()) names.insert(of->schema().name());
  rust::Vec<rust::String> all;
  for (const auto& name : names) all.push_back(name);
  return all;
}

}  // namespace cresset
