// A group of processes that compute together, on c10d, libtorch's engine for it.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include "rust/cxx.h"

// Declared here, because the headers of c10d take seconds to compile: only process_group.cc and reducer.cc include them.
namespace c10d {
class ProcessGroup;
class Store;
}  // namespace c10d

namespace cresset {

// Texts that the processes of a group leave for each other, by a connection of its own.
class Board {
 public:
  explicit Board(c10::intrusive_ptr<c10d::Store> store);
  ~Board();

  void set(rust::Str key, rust::Str value) const;
  // An empty text where no process has set it.
  rust::String get(rust::Str key) const;

 private:
  c10::intrusive_ptr<c10d::Store> store_;
};

class ProcessGroup {
 public:
  ProcessGroup(c10::intrusive_ptr<c10d::Store> store, c10::intrusive_ptr<c10d::ProcessGroup> group);
  ~ProcessGroup();

  // Makes NCCL, which the open CUDA plugin holds, the way of tensors on the GPU.
  void open_nccl(int64_t timeout_ms) const;

  // Each changes `tensor` in place, and returns when that is done.
  void sum(const at::Tensor& tensor) const;
  void max(const at::Tensor& tensor) const;
  void broadcast(const at::Tensor& tensor) const;
  // Row r of `all` becomes `tensor` of process r.
  void gather(const at::Tensor& tensor, const at::Tensor& all) const;

  std::unique_ptr<Board> board() const;

  const c10::intrusive_ptr<c10d::ProcessGroup>& group() const { return group_; }

 private:
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
};

// Joins the group of `size` processes that meet at `host`:`port`. `serves` makes this process the one that keeps the
// meeting place, `was_used` tells that processes may have met there before, whose texts are still there.
std::unique_ptr<ProcessGroup> join_process_group(rust::Str host, uint16_t port, bool serves, bool was_used, int32_t rank,
                                                 int32_t size, int64_t timeout_ms);

}  // namespace cresset
