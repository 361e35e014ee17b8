// TorchScript modules: compile, load, save, call.
#pragma once
#include <map>
#include <memory>
#include <string>

#include <torch/csrc/jit/api/module.h>

#include "rust/cxx.h"

struct ExtraFile;

namespace cresset {

// Values for a module's attributes, by dotted name, such as "fc1.weight".
class Values {
 public:
  void put_tensor(rust::Str name, const at::Tensor& tensor);
  void put_strings(rust::Str name, rust::Vec<rust::String> strings);
  void put_int(rust::Str name, int64_t value);
  void put_ints(rust::Str name, rust::Slice<const int64_t> values);
  // Dictionaries from texts to their indexes, each of the next `lengths[i]` texts.
  void put_indexes(rust::Str name, rust::Vec<rust::String> texts, rust::Slice<const size_t> lengths);
  rust::Vec<rust::String> names() const;
  std::unique_ptr<at::Tensor> take_tensor(rust::Str name);

  std::map<std::string, c10::IValue> by_name;
};

class ScriptModule {
 public:
  explicit ScriptModule(torch::jit::Module module) : module_(std::move(module)) {}
  void save(rust::Str path, rust::Slice<const ExtraFile> extra) const;
  void set_training(bool training);
  // Parameters and buffers; returns their names in the order of Python's state_dict().
  rust::Vec<rust::String> state(Values& tensors) const;
  // Results are named "0", "1", … in the order in which the method returns them.
  void call(rust::Str method, const at::Tensor& input, Values& results) const;
  // Calls a method that takes the rows of a table, each of the next `lengths[i]` cells, after `input` unless that is undefined.
  void call_with_cells(rust::Str method, const at::Tensor& input, rust::Vec<rust::String> cells,
                       rust::Slice<const size_t> lengths, Values& results) const;
  // Calls a method and keeps all intermediate results, named "0", "1", … in order of computation; the last one is the
  // method's result.
  void call_with_intermediates(rust::Str method, const at::Tensor& input, Values& results) const;
  // Adds methods, given as TorchScript source.
  void define(rust::Str source);
  // The return type of a method in TorchScript notation.
  rust::String result_type(rust::Str method) const;
  // The names of the methods.
  rust::Vec<rust::String> methods() const;
  // The qualified name of the module's class.
  rust::String class_name() const;
  // Whether the module's code defines a class of this qualified name.
  bool knows_class(rust::Str name) const;
  // The names of the parameters or buffers, in the order of their definition; `values` receives their tensors.
  rust::Vec<rust::String> tensors(bool parameters, Values& values) const;
  // Replaces a parameter.
  void set_parameter(rust::Str name, const at::Tensor& value);
  // Sets an attribute of type int.
  void set_int(rust::Str name, int64_t value);
  // The submodule of this name, or null.
  std::unique_ptr<ScriptModule> child(rust::Str name) const;
  // A deep copy on the CPU, including classes.
  std::unique_ptr<ScriptModule> copy() const;
  // Creates an instance of a class from `source` that contains this module as the attribute `attribute`.
  std::unique_ptr<ScriptModule> wrapped(rust::Str source, rust::Str class_name, const Values& values,
                                        rust::Str attribute) const;

  torch::jit::Module module_;
};

// A copy of a method's graph with all method calls inlined.
std::shared_ptr<torch::jit::Graph> inlined(const torch::jit::Method& method);
// Inlines in place.
void inline_calls(torch::jit::Graph& graph);
std::unique_ptr<Values> new_values();
std::unique_ptr<ScriptModule> module_from_source(rust::Str source, rust::Str class_name, const Values& values);
// Each entry of `extra` receives the text of the file of its name; it stays empty if the file is missing.
std::unique_ptr<ScriptModule> load_module(rust::Str path, rust::Str device, rust::Vec<ExtraFile>& extra);

}  // namespace cresset
