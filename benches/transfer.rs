//! The benefit of a model of the digits 0 to 4 for classifying 5 to 9 with twenty examples of each.
//!
//! Run it with `cargo bench --bench transfer`.

#[path = "../tests/support/shift.rs"]
mod shift;

use cresset::train::TrainOptions;
use shift::Shift;

const SEEDS: u64 = 5;

fn main() {
    let shift = Shift::new();
    let options = TrainOptions::default;
    let ways = [
        ("from scratch", false, options()),
        ("`--init --fresh-head`", true, options()),
        ("pretrained, `--head-epochs 10`", true, TrainOptions { head_epochs: 10, ..options() }),
        ("pretrained, `--layer-decay 0.7`", true, TrainOptions { layer_decay: 0.7, ..options() }),
        ("pretrained, `--freeze stage1`", true, TrainOptions { freeze: "stage1".to_string(), ..options() }),
    ];
    println!("| | mean | seeds 0 to {} |\n| --- | --- | --- |", SEEDS - 1);
    for (name, init, options) in ways {
        let found: Vec<f64> =
            (0..SEEDS).map(|seed| 100. * shift.accuracy(init, options.clone(), seed)).collect();
        let each: Vec<_> = found.iter().map(|accuracy| format!("{accuracy:.2}")).collect();
        println!("| {name} | {:.2} % | {} |", found.iter().sum::<f64>() / SEEDS as f64, each.join(", "));
    }
}
