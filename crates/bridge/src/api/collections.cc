#include "cresset-bridge/src/api/collections.h"

#include "cresset-bridge/src/exception.h"
#include "cresset-bridge/src/ffi.rs.h"

namespace cresset {
namespace {

std::string bytes(rust::Slice<const uint8_t> text) {
  return std::string(reinterpret_cast<const char*>(text.data()), text.size());
}

rust::Vec<int64_t> ints_of(const c10::IValue& list) {
  rust::Vec<int64_t> ints;
  for (int64_t value : list.toIntVector()) ints.push_back(value);
  return ints;
}

}  // namespace

void put_ints(Values& values, rust::Str name, rust::Slice<const int64_t> ints) {
  c10::List<int64_t> list;
  list.reserve(ints.size());
  for (int64_t value : ints) list.push_back(value);
  values.by_name[std::string(name)] = list;
}

void put_int_dictionary(Values& values, rust::Str name, rust::Slice<const int64_t> keys,
                        rust::Slice<const int64_t> ints) {
  TORCH_CHECK(keys.size() == ints.size(), std::string(name), " has ", keys.size(), " keys and ", ints.size(), " values");
  c10::Dict<int64_t, int64_t> dictionary;
  dictionary.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) dictionary.insert(keys[i], ints[i]);
  values.by_name[std::string(name)] = dictionary;
}

void put_text_dictionary(Values& values, rust::Str name, const rust::Vec<rust::String>& keys,
                         rust::Slice<const int64_t> ints) {
  TORCH_CHECK(keys.size() == ints.size(), std::string(name), " has ", keys.size(), " keys and ", ints.size(), " values");
  c10::Dict<std::string, int64_t> dictionary;
  dictionary.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) dictionary.insert(std::string(keys[i]), ints[i]);
  values.by_name[std::string(name)] = dictionary;
}

rust::Vec<int64_t> call_with_text(const ScriptModule& module, rust::Str method, rust::Slice<const uint8_t> text) {
  return ints_of(module.module_.get_method(std::string(method))({bytes(text)}));
}

rust::Vec<int64_t> call_with_texts(const ScriptModule& module, rust::Str method, rust::Slice<const uint8_t> first,
                                   rust::Slice<const uint8_t> other, rust::Vec<int64_t>& second) {
  auto result = module.module_.get_method(std::string(method))({bytes(first), bytes(other)});
  const auto& elements = result.toTupleRef().elements();
  TORCH_CHECK(elements.size() == 2, std::string(method), " returns ", elements.size(), " values instead of 2");
  second = ints_of(elements[1]);
  return ints_of(elements[0]);
}

}  // namespace cresset
