#include "cresset-bridge/src/api/schema.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include "cresset-bridge/src/ffi.rs.h"

namespace cresset {

OperatorSchema operator_schema(rust::Str name, rust::Str overload) {
  OperatorSchema found{false, false, {}, {}};
  auto handle = c10::Dispatcher::singleton().findSchema({std::string(name), std::string(overload)});
  if (!handle) return found;
  const auto& schema = handle->schema();
  found.is_known = true;
  found.is_mutable = schema.is_mutable();
  for (const auto& argument : schema.arguments()) {
    // The real type tells a dtype from an integer.
    found.arguments.push_back({argument.name(), argument.real_type()->str(), argument.kwarg_only()});
  }
  for (const auto& value : schema.returns()) found.returns.push_back(value.real_type()->str());
  return found;
}

}  // namespace cresset
