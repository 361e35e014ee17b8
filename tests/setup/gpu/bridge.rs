//! CUDA graphs, transfers, memory statistics, NCCL and the Reducer, with the CUDA plugin.

use std::time::Duration;

use super::{GPU, last_weights};
use crate::support::job::{Job, free_port};
use crate::support::{stderr, text};
use cresset_bridge::cuda::{self, Graph, Plugin, SideStream};
use cresset_bridge::memory::pinned;
use cresset_bridge::process_group::{ProcessGroup, Rendezvous};
use cresset_bridge::reducer::Reducer;
use tch::{Device, Kind, Tensor};

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn transfers_on_a_side_stream_are_complete() {
    Plugin::open().unwrap();
    let mut stream = SideStream::new(GPU).unwrap();
    let values = |number: i64| Tensor::full([1 << 20], number, (Kind::Int64, Device::Cpu));
    let busy = Tensor::rand([2048, 2048], (Kind::Float, GPU));
    let mut next = stream.send(&pinned(&values(0)).unwrap()).unwrap();
    for number in 0..50 {
        let tensor = stream.receive(next).unwrap();
        next = stream.send(&pinned(&values(number + 1)).unwrap()).unwrap();
        // Work before and after the use, so that memory reused too early would be noticed.
        let _ = busy.matmul(&busy);
        let wrong = tensor.ne(number).sum(Kind::Int64);
        drop(tensor);
        let _ = busy.matmul(&busy);
        assert_eq!(wrong.int64_value(&[]), 0, "tensor {number}");
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn a_failed_capture_leaves_the_device_and_its_generator_unchanged() {
    Plugin::open().unwrap();
    let mut graph = Graph::new(GPU).unwrap();
    let draw = || Tensor::rand([4], (Kind::Float, GPU)).to_device(Device::Cpu);
    tch::Cuda::manual_seed_all(5);
    let (first, second) = (draw(), draw());
    tch::Cuda::manual_seed_all(5);
    assert_eq!(draw(), first);
    // Reading a value waits for the device, which is not allowed during capture.
    let read = || Ok::<_, cresset_bridge::Error>(Tensor::rand([4], (Kind::Float, GPU)).double_value(&[0]));
    assert!(graph.record(read).is_err());
    assert_eq!(draw(), second);

    let mut total = Tensor::zeros([1], (Kind::Float, GPU));
    let add = || {
        drop(total.g_add_scalar_(1));
        Ok::<_, cresset_bridge::Error>(())
    };
    graph.record(add).unwrap();
    (0..3).for_each(|_| graph.replay().unwrap());
    assert_eq!(total.double_value(&[0]), 3.);
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn the_gpu_memory_of_tensors_is_reported() {
    Plugin::open().unwrap();
    cuda::reset_peak(GPU).unwrap();
    let before = cuda::memory(GPU).unwrap();
    let large = Tensor::zeros([256 << 20], (Kind::Uint8, GPU));
    let with = cuda::memory(GPU).unwrap();
    assert_eq!(with.allocated - before.allocated, 256 << 20);
    drop(large);
    let after = cuda::memory(GPU).unwrap();
    assert_eq!(after.allocated, before.allocated);
    assert!(after.peak_allocated >= with.allocated && after.free <= after.total);
}

/// A process group of one process with NCCL.
fn group_of_one() -> ProcessGroup {
    Plugin::open().unwrap();
    let timeout = Duration::from_secs(30);
    let (host, port) = ("127.0.0.1".to_string(), free_port());
    let rendezvous = Rendezvous { host, port, hosts_store: true, was_used: false, rank: 0, size: 1, timeout };
    let group = ProcessGroup::join(&rendezvous).unwrap();
    group.open_nccl(timeout).unwrap();
    group
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn nccl_reduces_and_gathers_with_one_rank() {
    let group = group_of_one();
    let mut tensor = Tensor::arange(1000, (Kind::Float, GPU));
    group.all_reduce_sum(&mut tensor).unwrap();
    group.broadcast(&mut tensor).unwrap();
    assert_eq!(tensor, Tensor::arange(1000, (Kind::Float, GPU)));
    assert_eq!(group.all_gather(&tensor, 1).unwrap(), tensor.unsqueeze(0));
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn the_reducer_averages_gradients_on_the_gpu() {
    let group = group_of_one();
    tch::manual_seed(1);
    let options = (Kind::Float, GPU);
    // 40 MB, more than one bucket.
    let parameters: Vec<_> =
        (0..10).map(|_| Tensor::rand([1000, 1000], options).set_requires_grad(true)).collect();
    let input = Tensor::rand([32, 1000], options);
    let gradients = || {
        let output = parameters.iter().fold(input.shallow_clone(), |x, weight| x.matmul(weight).tanh());
        output.sum(Kind::Float).backward();
        let take = |parameter: &Tensor| {
            let gradient = parameter.grad().copy();
            drop(parameter.grad().zero_());
            gradient
        };
        parameters.iter().map(take).collect::<Vec<_>>()
    };
    let expected = gradients();
    let reducer = Reducer::new(&group, &parameters).unwrap();
    reducer.prepare().unwrap();
    assert_eq!(gradients(), expected);
}

#[test]
#[ignore = "needs an NVIDIA GPU: make gpu-kit"]
fn two_processes_train_the_model_of_one() {
    let gpus = cuda::load().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let arguments = |name: &str, batch: &'static str| {
        let options = ["--optimizer", "sgd", "--lr", "0.05", "--epochs", "2", "--batch-size", batch];
        let own = ["train", "--device", "cuda", "--out", text(&out(name))].map(String::from);
        own.into_iter().chain(options.map(String::from)).collect::<Vec<_>>()
    };
    let single = Job::start_each(1, |_| arguments("single", "64")).end();
    assert!(single[0].status.success(), "{}", stderr(&single[0]));
    // On one GPU, each process claims to be alone on its machine.
    let local = |rank| if gpus > 1 { (rank, 2) } else { (0, 1) };
    let outputs = Job::start_on(2, local, |_| arguments("both", "32")).end();
    let said = outputs.iter().map(stderr).collect::<String>();
    if gpus == 1 && said.contains("uplicate GPU") {
        println!("note: NCCL refuses two processes on one GPU");
        return;
    }
    assert!(outputs.iter().all(|output| output.status.success()), "{said}");
    let (both, single) = (last_weights(&out("both")), last_weights(&out("single")));
    for ((name, both), (_, single)) in both.iter().zip(&single).filter(|((name, _), _)| !name.contains('/')) {
        let values = |bytes: &[u8]| {
            let value = |four: &[u8]| f32::from_le_bytes(four.try_into().unwrap());
            bytes.chunks_exact(4).map(value).collect::<Vec<_>>()
        };
        let differences = values(both).into_iter().zip(values(single)).map(|(a, b)| (a - b).abs());
        let largest = differences.fold(0f32, f32::max);
        assert!(largest < 1e-4, "{name} differs by {largest}");
    }
    println!("note: equal on {gpus} GPU(s)");
}
