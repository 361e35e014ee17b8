#include "cresset-bridge/src/api/conforming.h"

#include <algorithm>

#include <ATen/core/class_type.h>
#include <ATen/core/enum_type.h>
#include <ATen/core/jit_type.h>

namespace cresset {
namespace {

using c10::IValue;
using c10::Type;
using c10::TypeKind;

// Maximum nesting depth of lists. Cyclic values would recurse forever.
constexpr int kDeepest = 64;

bool conforms_at(const IValue& value, const Type& type, int depth);

template <typename Values>
bool all_conform(const Values& values, const Type& type, int depth) {
  return std::all_of(values.begin(), values.end(), [&](const IValue& v) { return conforms_at(v, type, depth); });
}

bool conforms_to_tuple(const IValue& value, const c10::TupleType& type, int depth) {
  if (!value.isTuple()) return false;
  const auto& elements = value.toTupleRef().elements();
  const auto types = type.elements();
  if (elements.size() != types.size()) return false;
  for (size_t i = 0; i < types.size(); ++i) {
    if (!conforms_at(elements[i], *types[i], depth)) return false;
  }
  return true;
}

bool conforms_to_dict(const IValue& value, const c10::DictType& type, int depth) {
  if (!value.isGenericDict()) return false;
  for (const auto& entry : value.toGenericDict()) {
    if (!conforms_at(entry.key(), *type.getKeyType(), depth)) return false;
    if (!conforms_at(entry.value(), *type.getValueType(), depth)) return false;
  }
  return true;
}

bool conforms_at(const IValue& value, const Type& type, int depth) {
  if (++depth > kDeepest) return false;
  switch (type.kind()) {
    case TypeKind::AnyType:
    case TypeKind::CapsuleType:
      return true;
    case TypeKind::TensorType:
      return value.isTensor();
    case TypeKind::IntType:
      return value.isInt();
    case TypeKind::FloatType:
      return value.isDouble();
    case TypeKind::BoolType:
      return value.isBool();
    case TypeKind::StringType:
      return value.isString();
    case TypeKind::NoneType:
      return value.isNone();
    case TypeKind::OptionalType:
      return value.isNone() || conforms_at(value, *type.expectRef<c10::OptionalType>().getElementType(), depth);
    case TypeKind::UnionType: {
      auto members = type.containedTypes();
      return std::any_of(members.begin(), members.end(), [&](const auto& m) { return conforms_at(value, *m, depth); });
    }
    case TypeKind::ListType:
      return value.isList() && all_conform(value.toListRef(), *type.expectRef<c10::ListType>().getElementType(), depth);
    case TypeKind::TupleType:
      return conforms_to_tuple(value, type.expectRef<c10::TupleType>(), depth);
    case TypeKind::DictType:
      return conforms_to_dict(value, type.expectRef<c10::DictType>(), depth);
    case TypeKind::ClassType:
    case TypeKind::InterfaceType:
      return value.isObject() && value.toObjectRef().type()->isSubtypeOf(type);
    default:
      return value.type()->isSubtypeOf(type);
  }
}

}  // namespace

bool conforms(const IValue& value, const Type& type) { return conforms_at(value, type, 0); }

}  // namespace cresset
