// The operations of a compilation unit by method, and those that are not allowed.
#pragma once
#include <map>
#include <string>
#include <unordered_set>
#include <utility>

#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/ir/ir.h>

namespace cresset {

class Operations {
 public:
  // One name per line.
  explicit Operations(const std::string& allowed);
  // Checks the functions added to `unit` since the last call.
  void look(const torch::jit::CompilationUnit& unit);
  // Records libtorch's C++ classes that occur in a type.
  void note_type(const c10::Type& type);
  bool is_allowed(const std::string& kind) const { return allowed_.count(kind) != 0; }
  bool is_refused() const { return is_refused_; }
  // The number of occurrences of each kind of operation in each method.
  const std::map<std::pair<std::string, std::string>, uint64_t>& counts() const { return counts_; }

 private:
  void note(const std::string& method, const std::string& kind);
  void look(torch::jit::Block* block, const std::string& method);
  void look(torch::jit::Node* node, const std::string& method);

  std::unordered_set<std::string> allowed_;
  std::map<std::pair<std::string, std::string>, uint64_t> counts_;
  size_t functions_ = 0;
  bool is_refused_ = false;
};

}  // namespace cresset
