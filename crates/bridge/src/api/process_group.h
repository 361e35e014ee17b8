// A process group on c10d, the C++ half of torch.distributed.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

#include "rust/cxx.h"

// Forward declarations, because c10d's headers take seconds to compile: only process_group.cc and reducer.cc include them.
namespace c10d {
class ProcessGroup;
class Store;
}  // namespace c10d

namespace cresset {

// A key-value store shared by the processes of a group, on a separate connection.
class KeyValueStore {
 public:
  explicit KeyValueStore(c10::intrusive_ptr<c10d::Store> store);
  ~KeyValueStore();

  void set(rust::Str key, rust::Str value) const;
  // An empty string if the key is not set.
  rust::String get(rust::Str key) const;

 private:
  c10::intrusive_ptr<c10d::Store> store_;
};

class ProcessGroup {
 public:
  ProcessGroup(c10::intrusive_ptr<c10d::Store> store, c10::intrusive_ptr<c10d::ProcessGroup> group);
  ~ProcessGroup();

  // Makes NCCL, from the open CUDA plugin, the backend for tensors on the GPU.
  void open_nccl(int64_t timeout_ms) const;

  // Each modifies `tensor` in place and blocks until done.
  void all_reduce_sum(const at::Tensor& tensor) const;
  void all_reduce_max(const at::Tensor& tensor) const;
  void broadcast(const at::Tensor& tensor) const;
  // Row r of `all` receives `tensor` of rank r.
  void all_gather(const at::Tensor& tensor, const at::Tensor& all) const;

  std::unique_ptr<KeyValueStore> key_value_store() const;

  const c10::intrusive_ptr<c10d::ProcessGroup>& group() const { return group_; }

 private:
  c10::intrusive_ptr<c10d::Store> store_;
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
};

// Joins the group of `size` processes with the rendezvous `host`:`port`. `hosts_store` makes this process host
// the store. `was_used` says that an earlier group may have used the store and left keys in it.
std::unique_ptr<ProcessGroup> join_process_group(rust::Str host, uint16_t port, bool hosts_store, bool was_used, int32_t rank,
                                                 int32_t size, int64_t timeout_ms);

}  // namespace cresset
