//! Calls of exported models.

use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::Instant;

use cresset::predict::Classifier;
use cresset_bridge::kernels::Kernel;
use tch::{Device, Kind, Tensor};

use super::support::{median, range, seconds};
use super::{Row, Work};

/// The argument that makes a process run [`time_heap`] for [`measure_heap`].
pub const HEAP: &str = "--heap";

/// The rows of the table.
pub fn rows(folder: &Path) -> Vec<Row> {
    let folder = Rc::new(folder.to_path_buf());
    let call = |kernel, name, model: &'static str, rows: i64, calls: usize, is_optimized: bool| {
        let folder = Rc::clone(&folder);
        Row::new(kernel, name, move || {
            let run = folder.join(model);
            if !run.exists() {
                train(&run, model);
            }
            calls_of(&run.join("model.pt"), rows, calls, is_optimized)
        })
    };
    vec![
        call(Kernel::GraphInterpreter, "digits MLP, one row, not optimized: call", "mlp", 1, 5000, false),
        call(Kernel::GraphInterpreter, "digits CNN, one row, not optimized: call", "cnn", 1, 500, false),
        call(Kernel::Preprocessing, "digits MLP, one row: call", "mlp", 1, 5000, true),
        call(Kernel::FoldedGraph, "digits MLP, one row: call", "mlp", 1, 5000, true),
        call(Kernel::FoldedGraph, "digits MLP, 64 rows: call", "mlp", 64, 2000, true),
        call(Kernel::FoldedGraph, "digits CNN, one row: call", "cnn", 1, 500, true),
        call(Kernel::FoldedGraph, "digits CNN, 64 rows: call", "cnn", 64, 50, true),
    ]
}

fn train(run: &Path, model: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cresset"));
    seconds(command.args(["train", "--epochs", "1", "--model", model, "--out"]).arg(run));
}

fn calls_of(model: &Path, rows: i64, calls: usize, is_optimized: bool) -> Work {
    tch::set_num_threads(1);
    let classifier = Classifier::load_on(model, Device::Cpu).expect("a model");
    if is_optimized {
        classifier.optimize();
    }
    let inputs = Tensor::rand([rows, 64], (Kind::Float, Device::Cpu)) * 16;
    Box::new(move || {
        for _ in 0..calls {
            let logits = classifier.logits(&inputs).expect("logits");
            assert_eq!(logits.size(), [rows, 10]);
        }
        calls
    })
}

/// Runs separate processes with and without the heap setting, because the setting cannot be undone.
pub fn measure_heap(name: &str, folder: &Path, rounds: usize) {
    let run = folder.join("heap");
    train(&run, "cnn");
    let time = |setting: &str| -> f64 {
        let program = std::env::current_exe().expect("the path of this program is known");
        let (_, printed) = seconds(Command::new(program).args([HEAP, setting]).arg(run.join("model.pt")));
        printed.trim().parse().expect("a number")
    };
    let pairs: Vec<_> = (0..rounds).map(|_| (time("on"), time("off"))).collect();
    let ratios: Vec<_> = pairs.iter().map(|(with, without)| with / without).collect();
    let (with, without): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let (least, greatest) = range(&ratios);
    println!(
        "| {name} | digits CNN, 64 rows: call | {:.1} | {:.1} | {:.2} ({least:.2}–{greatest:.2}) |",
        median(&with),
        median(&without),
        median(&ratios)
    );
}

/// The main function of such a process: prints the microseconds per call.
pub fn time_heap(is_enabled: bool, model: &Path) {
    Kernel::HeapMemory.set_enabled(is_enabled);
    let mut work = calls_of(model, 64, 50, true);
    work();
    let begun = Instant::now();
    let calls = work();
    println!("{}", begun.elapsed().as_secs_f64() * 1e6 / calls as f64);
}
