//! Reading tables and evaluating their rows.

use std::fmt::Write;
use std::path::Path;

use cresset::data::format::csv;
use cresset::data::{DataOptions, InputShape};
use cresset::evaluate::{Keep, evaluate};
use cresset::loader::MemoryExamples;
use cresset::model::preprocessing::TensorDataset;
use cresset::model::{Network, Outputs, Task};
use cresset::options::Config;
use cresset_bridge::kernels::Kernel;
use tch::{Device, Kind, Tensor};

use super::{Row, Work};

const ROWS: usize = 100_000;

/// The rows of the table.
pub fn rows(folder: &Path) -> Vec<Row> {
    let path = folder.join("table.csv");
    std::fs::write(&path, table()).expect("a table");
    let read = move || -> Work {
        let path = path.clone();
        Box::new(move || {
            let table = csv::read(&path, &DataOptions::default()).expect("the table is readable");
            assert_eq!(table.rows.len(), ROWS);
            ROWS
        })
    };
    let evaluation = "digits MLP, 100,000 rows: evaluation, per row";
    vec![
        Row::new(Kernel::DecimalParser, "CSV of 64 numbers and a label, 100,000 rows: load, per row", read),
        Row::new(Kernel::MlpInference, evaluation, evaluation_of_mlp),
        Row::new(Kernel::LossAndConfusion, evaluation, evaluation_of_mlp),
    ]
}

/// Rows of numbers with three decimals.
fn table() -> String {
    let mut text = String::new();
    let mut state = 1u32;
    for row in 0..ROWS {
        for _ in 0..64 {
            // The linear congruential generator of Numerical Recipes.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            write!(text, "{:.3},", f64::from(state >> 16) / 4096.).expect("writing to a string cannot fail");
        }
        writeln!(text, "class{}", row % 10).expect("writing to a string cannot fail");
    }
    text
}

fn evaluation_of_mlp() -> Work {
    tch::set_num_threads(2);
    let Config { model, model_options, .. } = Config::default();
    let task = Task::new(InputShape(vec![64]), 10);
    let network = Network::new(&model, &model_options, &task, Device::Cpu, 0).expect("the default model");
    let inputs = Tensor::rand([ROWS as i64, 64], (Kind::Float, Device::Cpu));
    let labels = Tensor::randint(10, [ROWS as i64], (Kind::Int64, Device::Cpu));
    let feed = MemoryExamples::ready(TensorDataset { inputs, labels });
    Box::new(move || {
        let found = evaluate(&feed, &Outputs::Classification, 10, Keep::Sums, |inputs| network.infer(inputs))
            .expect("an evaluation");
        assert!(found.loss.is_finite());
        ROWS
    })
}
