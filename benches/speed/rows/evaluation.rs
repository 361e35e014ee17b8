//! Evaluation of a million rows compared with PyTorch: mean loss and confusion matrix of the digits' perceptron.

use std::path::Path;
use std::time::Instant;

use cresset::data::InputShape;
use cresset::evaluate::{Keep, evaluate};
use cresset::loader::MemoryExamples;
use cresset::model::{Network, Outputs, Task};
use cresset::options::Config;
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::contest::{Contestant, Scale, compete, own, python, serve};
use crate::files;
use crate::table::{Row, Verdict};

const ROWS: i64 = 1_000_000;
const CORES: usize = 2;

/// PyTorch's batch sizes; the faster one counts. A quick run uses the first, which is the faster one.
const BATCHES: [&str; 2] = ["1024", "8192"];

fn network() -> Network {
    let Config { model, model_options, .. } = Config::default();
    let task = Task::new(InputShape(vec![64]), 10);
    Network::new(&model, &model_options, &task, Device::Cpu, 0).expect("the default model")
}

/// Measures the group.
pub fn measure(scale: Scale) -> Vec<Verdict> {
    let folder = tempfile::tempdir().expect("a folder");
    prepare(folder.path());
    let mut ours = own("evaluation", CORES);
    ours.arg(folder.path());
    let mut contestants = vec![Contestant::waiting("cresset", ours)];
    let batches = if scale == Scale::Full { &BATCHES[..] } else { &BATCHES[..1] };
    contestants.extend(batches.iter().map(|batch| {
        let mut command = python("CRESSET_PYTHON", "evaluation_torch.py", CORES);
        command.arg(folder.path()).args([*batch, &CORES.to_string()]);
        Contestant::waiting(format!("PyTorch, batch size {batch}"), command)
    }));
    let results = compete(contestants, scale.rounds());
    let own = (results[0].of("loss")[0], results[0].of("correct")[0]);
    for peer in &results[1..] {
        let (loss, correct) = (peer.of("loss")[0], peer.of("correct")[0]);
        // The order of summation differs, so a row between two classes may be assigned to either.
        assert!(
            (loss / own.0 - 1.).abs() < 1e-4 && (correct - own.1).abs() <= 10.,
            "{}: {loss}, {correct}",
            peer.name
        );
    }
    let row = Row {
        name: "evaluation of 1 M rows",
        figure: "seconds",
        unit: "s",
        goal: 0.5,
        more_is_better: false,
        check: format!("the loss is {:.4} and {} rows are correct on all sides", own.0, own.1),
    };
    vec![Verdict::new(row, &results[0], &results[1..])]
}

fn prepare(folder: &Path) {
    tch::manual_seed(0);
    let inputs = Tensor::rand([ROWS, 64], (Kind::Float, Device::Cpu));
    let labels = Tensor::randint(10, [ROWS], (Kind::Int64, Device::Cpu));
    files::write(folder, inputs, labels, &network());
}

/// Our side.
pub fn work(arguments: &[String]) {
    let [folder] = arguments else { panic!("a folder") };
    tch::set_num_threads(CORES as i32);
    let mut network = network();
    let feed = MemoryExamples::ready(files::read(Path::new(folder), &mut network));
    let run = || {
        let begun = Instant::now();
        let found = evaluate(&feed, &Outputs::Classification, 10, Keep::Sums, |inputs| network.infer(inputs))
            .expect("an evaluation");
        let seconds = begun.elapsed().as_secs_f64();
        let correct = found.confusion().expect("classes").correct();
        json!({ "seconds": seconds, "loss": found.loss, "correct": correct })
    };
    let ready = run();
    serve(&ready, run);
}
