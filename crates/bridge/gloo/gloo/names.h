// Stubs of the gloo names used in libtorch's ProcessGroupGloo.hpp, because libtorch's packages omit gloo's headers.
// The names are used there only behind pointers, and as the base of a nested class that is never created here: this program
// defines, constructs and calls nothing of gloo. src/api/process_group.cc checks the sizes that would reveal a change.
#pragma once
#include <chrono>
#include <string>
#include <vector>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

namespace transport {
class Device;
class UnboundBuffer;
}  // namespace transport

namespace rendezvous {

class Store {
 public:
  virtual ~Store();
  virtual void set(const std::string& key, const std::vector<char>& value) = 0;
  virtual std::vector<char> get(const std::string& key) = 0;
  virtual void wait(const std::vector<std::string>& keys) = 0;
  virtual void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout);
};

}  // namespace rendezvous
}  // namespace gloo
