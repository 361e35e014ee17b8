#include "cresset-bridge/src/api/script.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/versions.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/interpreter.h>
#include <torch/csrc/jit/serialization/export.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/csrc/jit/serialization/import_source.h>

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"

namespace cresset {
namespace {

// A limit on inlining passes; calls of functions that are not methods remain.
constexpr int kDeepestCall = 200;

std::string text(rust::Str s) { return std::string(s.data(), s.size()); }

// Fills an instance of `type` from `values`; submodules use names with the prefix `prefix`.
torch::jit::Module instantiate(const std::shared_ptr<torch::jit::CompilationUnit>& unit, const c10::ClassTypePtr& type,
                               const std::string& prefix, const Values& values) {
  torch::jit::Module module(unit, type);
  for (size_t slot = 0; slot < type->numAttributes(); ++slot) {
    const auto& name = type->getAttributeName(slot);
    auto submodule = type->getAttribute(slot)->cast<c10::ClassType>();
    auto value = values.by_name.find(prefix + name);
    if (value != values.by_name.end()) {
      module._ivalue()->setSlot(slot, value->second);
    } else if (submodule && submodule->is_module()) {
      auto child = instantiate(unit, submodule, prefix + name + ".", values);
      module._ivalue()->setSlot(slot, child._ivalue());
    } else if (name == "training") {
      module._ivalue()->setSlot(slot, true);
    } else {
      TORCH_CHECK(false, "the attribute ", prefix, name, " of the TorchScript source has no value");
    }
  }
  return module;
}

// Compiles `source`, which contains `class_name` and the classes it uses, into `unit`, and creates an instance of that class.
torch::jit::Module from_source(const std::shared_ptr<torch::jit::CompilationUnit>& unit, const std::string& source,
                               const std::string& class_name, const Values& values) {
  c10::QualifiedName name(class_name);
  auto code = std::make_shared<torch::jit::Source>(source, "model", 1);
  std::vector<at::IValue> constants;
  torch::jit::SourceImporter importer(
      unit, &constants, [&](const std::string& qualifier) { return qualifier == name.prefix() ? code : nullptr; },
      caffe2::serialize::kProducedFileFormatVersion);
  return instantiate(unit, importer.loadType(name)->expect<c10::ClassType>(), "", values);
}

// Calls `visit` with the dotted name and the value of each parameter and buffer: a module's own, then its submodules'.
template <typename Visit>
void each_of_state(const torch::jit::Module& module, const std::string& prefix, const Visit& visit) {
  auto type = module.type();
  for (size_t slot = 0; slot < type->numAttributes(); ++slot) {
    const auto& value = module._ivalue()->getSlot(slot);
    if ((type->is_parameter(slot) || type->is_buffer(slot)) && value.isTensor() && value.toTensor().defined()) {
      visit(prefix + type->getAttributeName(slot), value.toTensor());
    }
  }
  for (const auto& child : module.named_children()) each_of_state(child.value, prefix + child.name + ".", visit);
}

// Tensors are named "0", "1", … in the order of the tuple.
void put_results(const c10::IValue& result, Values& results) {
  if (!result.isTuple()) {
    results.by_name["0"] = result.toTensor();
    return;
  }
  const auto& elements = result.toTupleRef().elements();
  for (size_t i = 0; i < elements.size(); ++i) results.by_name[std::to_string(i)] = elements[i].toTensor();
}

bool has_calls(torch::jit::Block* block) {
  for (auto* node : block->nodes()) {
    if (node->kind() == c10::prim::CallMethod) return true;
    for (auto* inner : node->blocks()) {
      if (has_calls(inner)) return true;
    }
  }
  return false;
}

}  // namespace

void inline_calls(torch::jit::Graph& graph) {
  // One pass inlines the called methods, but not the calls inside them.
  for (int pass = 0; pass < kDeepestCall && (pass == 0 || has_calls(graph.block())); ++pass) torch::jit::Inline(graph);
}

std::shared_ptr<torch::jit::Graph> inlined(const torch::jit::Method& method) {
  auto graph = method.graph()->copy();
  inline_calls(*graph);
  return graph;
}

std::unique_ptr<Values> new_values() { return std::make_unique<Values>(); }

void Values::put_tensor(rust::Str name, const at::Tensor& tensor) { by_name[text(name)] = tensor; }

void Values::put_strings(rust::Str name, rust::Vec<rust::String> strings) {
  c10::List<std::string> list;
  for (const auto& s : strings) list.push_back(std::string(s));
  by_name[text(name)] = list;
}

void Values::put_int(rust::Str name, int64_t value) { by_name[text(name)] = value; }

void Values::put_ints(rust::Str name, rust::Slice<const int64_t> values) {
  c10::List<int64_t> list;
  for (const auto value : values) list.push_back(value);
  by_name[text(name)] = list;
}

void Values::put_indexes(rust::Str name, rust::Vec<rust::String> texts, rust::Slice<const size_t> lengths) {
  c10::List<c10::Dict<std::string, int64_t>> list;
  size_t next = 0;
  for (const auto length : lengths) {
    c10::Dict<std::string, int64_t> index;
    for (size_t i = 0; i < length; ++i) index.insert(std::string(texts[next++]), i);
    list.push_back(index);
  }
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
  return std::make_unique<ScriptModule>(
      from_source(std::make_shared<torch::jit::CompilationUnit>(), text(source), text(class_name), values));
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
  // As in Module::save. A writer that fails throws, and throws again in its destructor, which would end the process: it is
  // leaked in that case, and destroyed only after it has finished.
  auto* writer = new caffe2::serialize::PyTorchStreamWriter(text(path));
  torch::jit::ScriptModuleSerializer(*writer).serialize(module_, files, /*bytecode_format=*/false,
                                                        /*save_mobile_debug_info=*/false);
  writer->writeEndOfFile();
  delete writer;
  // The writer does not check whether the last bytes were written.
  char end[4] = {};
  std::ifstream written(text(path), std::ios::binary);
  written.seekg(-22, std::ios::end).read(end, sizeof end);
  if (std::string(end, sizeof end) != "PK\x05\x06") throw std::runtime_error("the file could not be written completely");
}

void ScriptModule::set_training(bool training) { module_.train(training); }

rust::Vec<rust::String> ScriptModule::state(Values& tensors) const {
  rust::Vec<rust::String> names;
  each_of_state(module_, "", [&](const std::string& name, const at::Tensor& tensor) {
    names.push_back(name);
    tensors.by_name[name] = tensor.detach();
  });
  return names;
}

void ScriptModule::call(rust::Str method, const at::Tensor& input, Values& results) const {
  put_results(module_.get_method(text(method))({input}), results);
}

void ScriptModule::call_with_cells(rust::Str method, const at::Tensor& input, rust::Vec<rust::String> cells,
                                   rust::Slice<const size_t> lengths, Values& results) const {
  c10::List<c10::List<std::string>> rows;
  size_t next = 0;
  for (const auto length : lengths) {
    c10::List<std::string> row;
    for (size_t i = 0; i < length; ++i) row.push_back(std::string(cells[next++]));
    rows.push_back(row);
  }
  std::vector<c10::IValue> arguments;
  if (input.defined()) arguments.push_back(input);
  arguments.push_back(rows);
  put_results(module_.get_method(text(method))(arguments), results);
}

void ScriptModule::call_with_intermediates(rust::Str method, const at::Tensor& input, Values& results) const {
  auto graph = inlined(module_.get_method(text(method)));
  std::vector<torch::jit::Value*> made;
  for (auto* node : graph->nodes()) {
    // Attributes and constants are not intermediate results.
    if (node->kind() == c10::prim::GetAttr || node->kind() == c10::prim::Constant) continue;
    for (auto* value : node->outputs()) {
      if (value->type()->isSubtypeOf(*c10::TensorType::get())) made.push_back(value);
    }
  }
  auto* last = graph->outputs().at(0);
  graph->eraseOutput(0);
  for (auto* value : made) graph->registerOutput(value);
  graph->registerOutput(last);
  torch::jit::Stack stack{module_._ivalue(), input};
  torch::jit::Code code(graph, "intermediates");
  torch::jit::InterpreterState(code).run(stack);
  // Zero-padded to equal length, so that the order of the names is the order of the results.
  for (size_t i = 0; i < stack.size(); ++i) {
    auto number = std::to_string(i);
    results.by_name[std::string(8 - std::min<size_t>(8, number.size()), '0') + number] = stack[i].toTensor();
  }
}

void ScriptModule::define(rust::Str source) { module_.define(text(source)); }

rust::String ScriptModule::result_type(rust::Str method) const {
  return module_.get_method(text(method)).function().getSchema().returns().at(0).type()->annotation_str();
}

rust::Vec<rust::String> ScriptModule::methods() const {
  rust::Vec<rust::String> names;
  for (const auto& method : module_.get_methods()) names.push_back(method.name());
  return names;
}

rust::String ScriptModule::class_name() const { return module_.type()->name()->qualifiedName(); }

bool ScriptModule::knows_class(rust::Str name) const {
  return module_._ivalue()->compilation_unit()->get_class(c10::QualifiedName(text(name))) != nullptr;
}

rust::Vec<rust::String> ScriptModule::tensors(bool parameters, Values& values) const {
  rust::Vec<rust::String> names;
  const auto put = [&](const std::string& name, const at::Tensor& tensor) {
    names.push_back(name);
    values.by_name[name] = tensor;
  };
  if (parameters) {
    for (const auto& of : module_.named_parameters()) put(of.name, of.value);
  } else {
    for (const auto& of : module_.named_buffers()) put(of.name, of.value);
  }
  return names;
}

void ScriptModule::set_parameter(rust::Str name, const at::Tensor& value) {
  c10::QualifiedName path(text(name));
  auto owner = module_;
  for (const auto& atom : path.atoms()) {
    if (&atom != &path.atoms().back()) owner = owner.attr(atom).toModule();
  }
  owner.setattr(path.name(), value);
}

void ScriptModule::set_int(rust::Str name, int64_t value) { module_.setattr(text(name), value); }

std::unique_ptr<ScriptModule> ScriptModule::child(rust::Str name) const {
  if (!module_.hasattr(text(name)) || !module_.attr(text(name)).isModule()) return nullptr;
  return std::make_unique<ScriptModule>(module_.attr(text(name)).toModule());
}

std::unique_ptr<ScriptModule> ScriptModule::copy() const {
  std::stringstream bytes;
  module_.save(bytes);
  return std::make_unique<ScriptModule>(torch::jit::load(bytes, c10::Device(c10::kCPU)));
}

std::unique_ptr<ScriptModule> ScriptModule::wrapped(rust::Str source, rust::Str class_name, const Values& values,
                                                    rust::Str attribute) const {
  auto all = values;
  all.by_name[text(attribute)] = module_._ivalue();
  return std::make_unique<ScriptModule>(
      from_source(module_._ivalue()->compilation_unit(), text(source), text(class_name), all));
}

}  // namespace cresset
