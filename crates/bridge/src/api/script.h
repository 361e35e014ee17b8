// TorchScript modules: made from source, loaded, saved, called.
#pragma once
#include <map>
#include <memory>
#include <string>

#include <torch/csrc/jit/api/module.h>

#include "rust/cxx.h"

struct ExtraFile;

namespace cresset {

// The values of a module's attributes, under dotted names such as "fc1.weight".
class Values {
 public:
  void put_tensor(rust::Str name, const at::Tensor& tensor);
  void put_strings(rust::Str name, rust::Vec<rust::String> strings);
  void put_int(rust::Str name, int64_t value);
  rust::Vec<rust::String> names() const;
  std::unique_ptr<at::Tensor> take_tensor(rust::Str name);

  std::map<std::string, c10::IValue> by_name;
};

class ScriptModule {
 public:
  explicit ScriptModule(torch::jit::Module module) : module_(std::move(module)) {}
  void save(rust::Str path, rust::Slice<const ExtraFile> extra) const;
  void set_training(bool training);
  // Parameters and buffers; gives their names in the order of Python's state_dict().
  rust::Vec<rust::String> state(Values& tensors) const;
  // Results are named "0", "1", … in the order in which the method returns them.
  void call(rust::Str method, const at::Tensor& input, Values& results) const;
  // Calls a method and keeps what its operations made on the way: results are named "0", "1", … in the order of their making,
  // the last one being what the method returns.
  void call_with_intermediates(rust::Str method, const at::Tensor& input, Values& results) const;
  // Adds methods, given as TorchScript source.
  void define(rust::Str source);
  // The type that a method returns, as TorchScript writes it.
  rust::String result_type(rust::Str method) const;
  // The names of the methods that can be called.
  rust::Vec<rust::String> methods() const;
  // The qualified name of the module's class.
  rust::String class_name() const;
  // Whether a class of this qualified name came with the module.
  bool knows_class(rust::Str name) const;
  // The names of the parameters, or of the buffers, in the order of their definition; their tensors go into `values`.
  rust::Vec<rust::String> tensors(bool parameters, Values& values) const;
  // Puts another tensor in the place of a parameter.
  void set_parameter(rust::Str name, const at::Tensor& value);
  // Gives an attribute of type int another value.
  void set_int(rust::Str name, int64_t value);
  // The submodule of this name, or null.
  std::unique_ptr<ScriptModule> child(rust::Str name) const;
  // A copy on the CPU that shares nothing with this module, classes included.
  std::unique_ptr<ScriptModule> copy() const;
  // An instance of a class from `source` around this module, which is its attribute `attribute`.
  std::unique_ptr<ScriptModule> wrapped(rust::Str source, rust::Str class_name, const Values& values,
                                        rust::Str attribute) const;

  torch::jit::Module module_;
};

// A copy of a method's graph in which all methods that it calls stand where they are called.
std::shared_ptr<torch::jit::Graph> inlined(const torch::jit::Method& method);
// The same in place.
void inline_calls(torch::jit::Graph& graph);
std::unique_ptr<Values> new_values();
std::unique_ptr<ScriptModule> module_from_source(rust::Str source, rust::Str class_name, const Values& values);
// Each member of `extra` is filled with the text of the file of its name; an absent file leaves it empty.
std::unique_ptr<ScriptModule> load_module(rust::Str path, rust::Str device, rust::Vec<ExtraFile>& extra);

}  // namespace cresset
