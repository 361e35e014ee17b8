#include "cresset-bridge/src/script.h"

#include <caffe2/serialize/versions.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/csrc/jit/serialization/import_source.h>

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"

namespace cresset {
namespace {

std::string text(rust::Str s) { return std::string(s.data(), s.size()); }

// Fills an instance of `type` from `values`; submodules take the names below `prefix`.
torch::jit::Module instantiate(const std::shared_ptr<torch::jit::CompilationUnit>& unit, const c10::ClassTypePtr& type,
                               const std::string& prefix, const Values& values) {
  torch::jit::Module module(unit, type);
  for (size_t slot = 0; slot < type->numAttributes(); ++slot) {
    const auto& name = type->getAttributeName(slot);
    auto submodule = type->getAttribute(slot)->cast<c10::ClassType>();
    if (submodule && submodule->is_module()) {
      auto child = instantiate(unit, submodule, prefix + name + ".", values);
      module._ivalue()->setSlot(slot, child._ivalue());
      continue;
    }
    auto value = values.by_name.find(prefix + name);
    if (value != values.by_name.end()) {
      module._ivalue()->setSlot(slot, value->second);
    } else if (name == "training") {
      module._ivalue()->setSlot(slot, true);
    } else {
      TORCH_CHECK(false, "the attribute ", prefix, name, " of the TorchScript source was given no value");
    }
  }
  return module;
}

}  // namespace

std::unique_ptr<Values> new_values() { return std::make_unique<Values>(); }

void Values::put_tensor(rust::Str name, const at::Tensor& tensor) { by_name[text(name)] = tensor; }

void Values::put_strings(rust::Str name, rust::Vec<rust::String> strings) {
  c10::List<std::string> list;
  for (const auto& s : strings) list.push_back(std::string(s));
  by_name[text(name)] = list;
}

rust::Vec<rust::String> Values::names() const {
  rust::Vec<rust::String> names;
  for (const auto& entry : by_name) names.push_back(entry.first);
  return names;
}

std::unique_ptr<at::Tensor> Values::take_tensor(rust::Str name) {
  auto entry = by_name.find(text(name));
  TORCH_CHECK(entry != by_name.end(), "there is no value named ", text(name));
  auto tensor = std::make_unique<at::Tensor>(entry->second.toTensor());
  by_name.erase(entry);
  return tensor;
}

std::unique_ptr<ScriptModule> module_from_source(rust::Str source, rust::Str class_name, const Values& values) {
  auto unit = std::make_shared<torch::jit::CompilationUnit>();
  auto code = std::make_shared<torch::jit::Source>(text(source), "model", 1);
  std::vector<at::IValue> constants;
  torch::jit::SourceImporter importer(
      unit, &constants, [&](const std::string& qualifier) { return qualifier == "__torch__" ? code : nullptr; },
      caffe2::serialize::kProducedFileFormatVersion);
  auto type = importer.loadType(c10::QualifiedName(text(class_name)))->expect<c10::ClassType>();
  return std::make_unique<ScriptModule>(instantiate(unit, type, "", values));
}

std::unique_ptr<ScriptModule> load_module(rust::Str path, rust::Str device, rust::Vec<ExtraFile>& extra) {
  torch::jit::ExtraFilesMap files;
  for (const auto& file : extra) files[std::string(file.name)] = "";
  auto module = torch::jit::load(text(path), c10::Device(text(device)), files);
  for (auto& file : extra) file.text = rust::String(files[std::string(file.name)]);
  return std::make_unique<ScriptModule>(std::move(module));
}

void ScriptModule::save(rust::Str path, rust::Slice<const ExtraFile> extra) const {
  torch::jit::ExtraFilesMap files;
  for (const auto& file : extra) files[std::string(file.name)] = std::string(file.text);
  module_.save(text(path), files);
}

void ScriptModule::set_training(bool training) { module_.train(training); }

void ScriptModule::call(rust::Str method, const at::Tensor& input, Values& results) const {
  auto result = module_.get_method(text(method))({input});
  if (!result.isTuple()) {
    results.by_name["0"] = result.toTensor();
    return;
  }
  const auto& elements = result.toTupleRef().elements();
  for (size_t i = 0; i < elements.size(); ++i) results.by_name[std::to_string(i)] = elements[i].toTensor();
}

}  // namespace cresset
