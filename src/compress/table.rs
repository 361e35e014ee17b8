//! Compressed models as CSV and as a text table.

use std::fmt::Write;

use super::Compressed;
use crate::evaluate::Interval;
use crate::model::Outputs;

/// CSV with a row for each model: accuracy or F1 score from 0 to 1, or R², with the bounds of its 95 % interval (empty if unknown);
/// latencies in microseconds.
///
/// ```
/// # use cresset::compress::{Compressed, to_csv};
/// # use cresset::model::Outputs;
/// # let original = Compressed {
/// #     name: "original".into(), file: "model.pt".into(), outputs: Outputs::Classification, score: 0.97, interval: None,
/// #     bytes: 40_000, parameters: 9_000, latency_1: 20., latency_64: 90., is_on_front: true, is_chosen: true,
/// # };
/// let csv = to_csv(&[original]);
/// assert!(csv.ends_with("original,model.pt,0.970000,,,40000,9000,20.0,90.0,true,true\n"));
/// ```
pub fn to_csv(models: &[Compressed]) -> String {
    let score = models.first().map_or("accuracy", |model| model.outputs.score_name()).to_lowercase();
    let mut text = format!(
        "model,file,{score},{score}_low,{score}_high,bytes,parameters,latency_1_us,latency_64_us,pareto,chosen\n"
    );
    for model in models {
        let Compressed { name, score, bytes, parameters, latency_1, latency_64, .. } = model;
        let file = model.file.file_name().unwrap_or_default().to_string_lossy();
        let bound = |bound: Option<f64>| bound.map_or(String::new(), |bound| format!("{bound:.6}"));
        let low = bound(model.interval.map(|interval| interval.low));
        let high = bound(model.interval.map(|interval| interval.high));
        writeln!(
            text,
            "{name},{file},{score:.6},{low},{high},{bytes},{parameters},{latency_1:.1},{latency_64:.1},{},{}",
            model.is_on_front, model.is_chosen
        )
        .expect("writing to a string does not fail");
    }
    text
}

/// A text table with the 95 % interval of each score, and the size reduction and speedup of each model relative to the first one. `*` marks the Pareto front, `→` the
/// chosen model.
///
/// ```
/// use cresset::compress::{Compressed, to_table};
/// use cresset::model::Outputs;
///
/// let original = Compressed {
///     name: "original".into(), file: "model.pt".into(), outputs: Outputs::Classification, score: 0.97, interval: None,
///     bytes: 40_000, parameters: 9_000, latency_1: 20., latency_64: 90., is_on_front: true, is_chosen: false,
/// };
/// let int8 = Compressed { name: "int8".into(), bytes: 20_000, is_chosen: true, ..original.clone() };
/// let table = to_table(&[original, int8]);
/// assert!(table.contains("→ int8") && table.contains("(2.00×)"));
/// ```
pub fn to_table(models: &[Compressed]) -> String {
    let Some(first) = models.first() else { return String::new() };
    let width = models.iter().map(|model| model.name.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!(
        "  {:<width$}  {:>9}  {:>18}  {:>11}  {:>20}  {:>20}\n",
        "model",
        first.outputs.score_name(),
        "size",
        "parameters",
        "1 example",
        "batch of 64"
    );
    for model in models {
        let mark = match (model.is_chosen, model.is_on_front) {
            (true, _) => '→',
            (false, true) => '*',
            (false, false) => ' ',
        };
        let times = |ratio: f64| format!("({ratio:.2}×)");
        let size = format!(
            "{:.0} kB {:>8}",
            model.bytes as f64 / 1e3,
            times(first.bytes as f64 / model.bytes as f64)
        );
        let latency = |value: f64, first: f64| format!("{value:.0} µs {:>8}", times(first / value));
        writeln!(
            text,
            "{mark} {:<width$}  {:>9}  {:>15}  {size:>18}  {:>11}  {:>20}  {:>20}",
            model.name,
            model.outputs.show_score(model.score),
            model.interval.map_or("–".to_string(), |interval| show_interval(&interval, &model.outputs)),
            model.parameters,
            latency(model.latency_1, first.latency_1),
            latency(model.latency_64, first.latency_64),
        )
        .expect("writing to a string does not fail");
    }
    text
}

/// The bounds as the score is shown, with the unit once.
fn show_interval(interval: &Interval, outputs: &Outputs) -> String {
    let [low, high] = [interval.low, interval.high].map(|bound| outputs.show_score(bound));
    format!("{}–{high}", low.trim_end_matches(" %"))
}
