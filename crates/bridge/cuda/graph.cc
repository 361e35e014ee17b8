// CUDA graphs: the kernels of a training step, captured once and launched together.
#include <memory>
#include <mutex>
#include <optional>

#include <ATen/Context.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include "plugin.h"

namespace cresset {
namespace {

// Makes later work on `stream` wait for all work queued on `other`.
void wait_for(c10::cuda::CUDAStream stream, c10::cuda::CUDAStream other) {
  at::cuda::CUDAEvent event;
  event.record(other);
  event.block(stream);
}

}  // namespace

// A graph and the stream on which it is captured. Capture is not allowed on the default stream.
class Graph {
 public:
  explicit Graph(c10::DeviceIndex device)
      : device_(device), side_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)) {}
  ~Graph() { try_to([&] { reset(); }); }
  Graph(const Graph&) = delete;

  // Makes the side stream current for this thread; it first waits for all work queued on the previous current stream.
  void enter() {
    TORCH_CHECK(!outer_, "the side stream of the graph was entered already");
    const auto outer = c10::cuda::getCurrentCUDAStream(device_);
    wait_for(side_, outer);
    c10::cuda::setCurrentCUDAStream(side_);
    outer_ = outer;
  }

  // Makes the previous stream current again; it waits for the side stream.
  void leave() {
    TORCH_CHECK(outer_, "the side stream of the graph was not entered");
    const auto outer = *outer_;
    outer_.reset();
    c10::cuda::setCurrentCUDAStream(outer);
    wait_for(outer, side_);
  }

  // Starts the capture: later work on the side stream is recorded and not run.
  void begin() {
    reset();
    c10::cuda::device_synchronize();
    // The graph has its own memory pool, which cannot use blocks cached by the allocator.
    c10::cuda::CUDACachingAllocator::emptyCache();
    before_ = generator().clone();
    pool_ = at::cuda::graph_pool_handle();
    graph_ = std::make_unique<at::cuda::CUDAGraph>();
    // This registers the default generator: each replay draws the numbers that the eager step would have drawn.
    graph_->capture_begin(pool_);
  }

  void end() {
    TORCH_CHECK(graph_, "no graph is being recorded");
    graph_->capture_end();
    before_ = {};
  }

  // Cleans up after a failure between begin and end: discards the capture and makes the device and its generator usable.
  void abandon() noexcept {
    if (!graph_) return;
    bool ended = false;
    try_to([&] {
      graph_->capture_end();
      ended = true;
    });
    if (!ended) {
      // Ending a failed capture raises an error, and libtorch then leaves its allocator and generator in the capture state.
      try_to([&] { c10::cuda::CUDACachingAllocator::endAllocateToPool(device_, pool_); });
      try_to([&] { c10::cuda::CUDACachingAllocator::releasePool(device_, pool_); });
      try_to([&] {
        auto now = generator();
        std::lock_guard<std::mutex> lock(now.mutex());
        now.graphsafe_set_state(before_);
      });
    }
    cudaGetLastError();
    try_to([&] { graph_.reset(); });
    before_ = {};
  }

  // Launches the captured work on the current stream.
  void replay() {
    TORCH_CHECK(graph_, "no graph was recorded");
    graph_->replay();
  }

 private:
  // Frees the graph and its memory after all replays are done.
  void reset() {
    if (!graph_) return;
    c10::cuda::device_synchronize();
    graph_.reset();
  }

  at::Generator generator() const { return at::cuda::detail::getDefaultCUDAGenerator(device_); }

  c10::DeviceIndex device_;
  c10::cuda::CUDAStream side_;
  std::optional<c10::cuda::CUDAStream> outer_;
  std::unique_ptr<at::cuda::CUDAGraph> graph_;
  c10::cuda::MempoolId_t pool_{0, 0};
  // The state of the generator before the capture.
  at::Generator before_;
};

}  // namespace cresset

using cresset::attempt;
using cresset::Graph;

CRESSET_EXPORT Graph* cresset_graph_new(int device, char* problem, size_t length) noexcept {
  return cresset::made_for<Graph>(device, problem, length);
}

CRESSET_EXPORT bool cresset_graph_enter(Graph* graph, char* problem, size_t length) noexcept {
  return attempt(problem, length, [&] { graph->enter(); });
}

CRESSET_EXPORT bool cresset_graph_leave(Graph* graph, char* problem, size_t length) noexcept {
  return attempt(problem, length, [&] { graph->leave(); });
}

CRESSET_EXPORT bool cresset_graph_begin(Graph* graph, char* problem, size_t length) noexcept {
  return attempt(problem, length, [&] { graph->begin(); });
}

CRESSET_EXPORT bool cresset_graph_end(Graph* graph, char* problem, size_t length) noexcept {
  return attempt(problem, length, [&] { graph->end(); });
}

CRESSET_EXPORT void cresset_graph_abandon(Graph* graph) noexcept { graph->abandon(); }

CRESSET_EXPORT bool cresset_graph_replay(Graph* graph, char* problem, size_t length) noexcept {
  return attempt(problem, length, [&] { graph->replay(); });
}

CRESSET_EXPORT void cresset_graph_free(Graph* graph) noexcept { delete graph; }
