// Attributes of a module that are lists and dictionaries, and calls with texts.
#pragma once
#include "cresset-bridge/src/api/script.h"

namespace cresset {

// Sets the attribute `name`, of type List[int].
void put_ints(Values& values, rust::Str name, rust::Slice<const int64_t> ints);
// Sets the attribute `name`, of type Dict[int, int]; `keys` and `ints` have the same length.
void put_int_dictionary(Values& values, rust::Str name, rust::Slice<const int64_t> keys, rust::Slice<const int64_t> ints);
// Sets the attribute `name`, of type Dict[str, int]; `keys` and `ints` have the same length.
void put_text_dictionary(Values& values, rust::Str name, const rust::Vec<rust::String>& keys,
                         rust::Slice<const int64_t> ints);
// Calls a method of type (str) -> List[int].
rust::Vec<int64_t> call_with_text(const ScriptModule& module, rust::Str method, rust::Slice<const uint8_t> text);
// Calls a method of type (str, str) -> Tuple[List[int], List[int]]; `second` receives the second list.
rust::Vec<int64_t> call_with_texts(const ScriptModule& module, rust::Str method, rust::Slice<const uint8_t> first,
                                   rust::Slice<const uint8_t> other, rust::Vec<int64_t>& second);

}  // namespace cresset
