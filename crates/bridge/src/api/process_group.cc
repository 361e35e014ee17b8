#include "cresset-bridge/src/api/process_group.h"

#include <dlfcn.h>

#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/version.h>

// ProcessGroupGloo.hpp is compiled with stubs of gloo's names (../gloo), which were checked against this version.
static_assert(TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR == 11, "compare crates/bridge/gloo with the new ProcessGroupGloo.hpp");
#if defined(__x86_64__) && defined(__GLIBCXX__)
static_assert(sizeof(c10d::ProcessGroupGloo) == 488 && sizeof(c10d::ProcessGroupGloo::Options) == 176,
              "the layout differs from the one that libtorch was built with");
#endif

namespace cresset {
namespace {

using Milliseconds = std::chrono::milliseconds;

std::vector<uint8_t> bytes(rust::Str text) { return {text.data(), text.data() + text.size()}; }

c10::intrusive_ptr<c10d::Store> below(const char* prefix, c10::intrusive_ptr<c10d::Store> store) {
  return c10::make_intrusive<c10d::PrefixStore>(prefix, std::move(store));
}

void all_reduce(c10d::ProcessGroup& group, const at::Tensor& tensor, c10d::ReduceOp operation) {
  std::vector<at::Tensor> tensors{tensor};
  c10d::AllreduceOptions options;
  options.reduceOp = std::move(operation);
  group.allreduce(tensors, options)->wait();
}

std::string fresh_name() {
  std::random_device device;
  return std::to_string(device()) + "-" + std::to_string(device());
}

std::string text(c10d::Store& store, const std::string& key) {
  const auto value = store.get(key);
  return {value.begin(), value.end()};
}

// A unique name that process 0 creates and sends to the others. A process must not accept a name that was sent in an earlier
// run, so each asks under a unique key, and the answer under that key is new.
std::string agreed_name(c10d::Store& store, int rank, int size, Milliseconds timeout) {
  const auto own = fresh_name();
  if (rank > 0) {
    store.set("ask/" + std::to_string(rank), bytes(own));
    store.wait({"answer/" + own}, timeout);
    const auto agreed = text(store, "answer/" + own);
    store.set(agreed + "/heard/" + std::to_string(rank), bytes("1"));
    return agreed;
  }
  const auto end = std::chrono::steady_clock::now() + timeout;
  for (int next = 1; next < size;) {
    // All ranks before `next` have received it. A key here may be from an earlier run; it is answered until the rank is done.
    const auto ask = "ask/" + std::to_string(next);
    if (store.check({ask})) store.set("answer/" + text(store, ask), bytes(own));
    if (store.check({own + "/heard/" + std::to_string(next)})) {
      ++next;
      continue;
    }
    if (std::chrono::steady_clock::now() >= end) {
      throw std::runtime_error("process " + std::to_string(next) + " did not join in time");
    }
    std::this_thread::sleep_for(Milliseconds(5));
  }
  return own;
}

}  // namespace

KeyValueStore::KeyValueStore(c10::intrusive_ptr<c10d::Store> store) : store_(std::move(store)) {}

KeyValueStore::~KeyValueStore() = default;

ProcessGroup::ProcessGroup(c10::intrusive_ptr<c10d::Store> store, c10::intrusive_ptr<c10d::ProcessGroup> group)
    : store_(std::move(store)), group_(std::move(group)) {}

ProcessGroup::~ProcessGroup() = default;

std::unique_ptr<ProcessGroup> join_process_group(rust::Str host, uint16_t port, bool hosts_store, bool was_used, int32_t rank,
                                                 int32_t size, int64_t timeout_ms) {
  const Milliseconds timeout(timeout_ms);
  c10d::TCPStoreOptions options;
  options.port = port;
  options.isServer = hosts_store;
  options.multiTenant = hosts_store;
  options.numWorkers = size;
  // Like Python: every process announces itself, and the host of the store waits for all.
  options.waitWorkers = true;
  options.timeout = timeout;
  c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
  store->setTimeout(timeout);
  if (was_used) store = c10::make_intrusive<c10d::PrefixStore>(agreed_name(*store, rank, size, timeout), store);
  // The prefixes of torch.distributed's default group, so that a Python process can join.
  store = below("0/", below("default_pg", store));
  auto group = c10::make_intrusive<c10d::ProcessGroup>(store, rank, size);
  auto gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(below("cpu/", store), rank, size,
                                                          c10d::ProcessGroupGloo::Options::create_default(timeout));
  gloo->setSequenceNumberForGroup();
  group->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
  group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::GLOO,
                    c10::intrusive_ptr<c10d::Backend>(std::move(gloo)));
  group->setGroupName("0");
  return std::make_unique<ProcessGroup>(std::move(store), std::move(group));
}

void ProcessGroup::open_nccl(int64_t timeout_ms) const {
  using Make = c10d::Backend* (*)(const c10::intrusive_ptr<c10d::Store>*, int, int, int64_t, char*, size_t);
  const auto make = reinterpret_cast<Make>(dlsym(RTLD_DEFAULT, "cresset_new_nccl"));
  if (make == nullptr) throw std::runtime_error("the CUDA plugin is not open");
  const auto store = below("cuda/", store_);
  char problem[1024] = "";
  auto* nccl = make(&store, group_->getRank(), group_->getSize(), timeout_ms, problem, sizeof problem);
  if (nccl == nullptr) throw std::runtime_error(problem);
  group_->setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::BackendType::NCCL,
                     c10::intrusive_ptr<c10d::Backend>::reclaim(nccl));
}

void ProcessGroup::all_reduce_sum(const at::Tensor& tensor) const { all_reduce(*group_, tensor, c10d::ReduceOp::SUM); }

void ProcessGroup::all_reduce_max(const at::Tensor& tensor) const { all_reduce(*group_, tensor, c10d::ReduceOp::MAX); }

void ProcessGroup::broadcast(const at::Tensor& tensor) const {
  std::vector<at::Tensor> tensors{tensor};
  group_->broadcast(tensors)->wait();
}

void ProcessGroup::all_gather(const at::Tensor& tensor, const at::Tensor& all) const {
  std::vector<std::vector<at::Tensor>> rows{all.unbind(0)};
  std::vector<at::Tensor> tensors{tensor};
  group_->allgather(rows, tensors)->wait();
}

std::unique_ptr<KeyValueStore> ProcessGroup::key_value_store() const {
  return std::make_unique<KeyValueStore>(below("cresset/", store_->clone()));
}

void KeyValueStore::set(rust::Str key, rust::Str value) const { store_->set(std::string(key), bytes(value)); }

rust::String KeyValueStore::get(rust::Str key) const {
  const std::string name(key);
  if (!store_->check({name})) return {};
  const auto value = store_->get(name);
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

}  // namespace cresset
