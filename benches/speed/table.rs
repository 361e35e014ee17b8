//! The results of the rounds: ratios, goals, a table and a CSV file.

use std::fmt::Write;

use crate::contest::Results;
use crate::support::{median, range, ratio, spread};

/// A comparison with a goal.
#[derive(Debug, Clone)]
pub struct Row {
    /// The name of the comparison.
    pub name: &'static str,
    /// The figure to compare.
    pub figure: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// The goal for cresset / the best peer: a maximum or, if more is better, a minimum.
    pub goal: f64,
    /// Whether more is better.
    pub more_is_better: bool,
    /// The evidence that all sides did the same work.
    pub check: String,
}

/// The result of a row.
pub struct Verdict {
    row: Row,
    /// Cresset first.
    sides: Vec<Side>,
    /// The index of the best peer.
    best: usize,
}

struct Side {
    name: String,
    values: Vec<f64>,
    peak_mb: f64,
}

impl Verdict {
    /// Compares the results of cresset with those of its peers.
    pub fn new<'a>(row: Row, ours: &'a Results, peers: impl IntoIterator<Item = &'a Results>) -> Self {
        let side = |results: &Results| Side {
            name: results.name.clone(),
            values: results.of(row.figure),
            peak_mb: results.peak_mb(),
        };
        let sides: Vec<_> = std::iter::once(ours).chain(peers).map(side).collect();
        let middle =
            |place: &usize| median(&sides[*place].values) * if row.more_is_better { -1. } else { 1. };
        let best = (1..sides.len()).min_by(|a, b| middle(a).total_cmp(&middle(b))).expect("there is a peer");
        Verdict { row, sides, best }
    }

    /// The row.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// Cresset / the best peer: the median of the rounds' ratios.
    pub fn ratio(&self) -> f64 {
        self.ratio_to(self.best)
    }

    fn ratio_to(&self, place: usize) -> f64 {
        ratio(&self.sides[0].values, &self.sides[place].values)
    }

    /// Whether the goal is met.
    pub fn is_met(&self) -> bool {
        if self.row.more_is_better { self.ratio() >= self.row.goal } else { self.ratio() <= self.row.goal }
    }

    fn goal(&self) -> String {
        format!("{} {}", if self.row.more_is_better { "≥" } else { "≤" }, self.row.goal)
    }
}

/// The rows, each with its best peer.
pub fn summary(verdicts: &[Verdict]) -> String {
    let mut text = String::from("ratio = cresset / the best peer, the median of the rounds' ratios\n\n");
    text += "| | cresset | best peer | | ratio | goal | |\n| --- | --- | --- | --- | --- | --- | --- |\n";
    for verdict in verdicts {
        let (row, best) = (&verdict.row, &verdict.sides[verdict.best]);
        let met = if verdict.is_met() { "reached" } else { "missed" };
        writeln!(
            text,
            "| {}, {} | {} | {} | {} | {:.2} | {} | {met} |",
            row.name,
            row.unit,
            shown(&verdict.sides[0].values),
            best.name,
            shown(&best.values),
            verdict.ratio(),
            verdict.goal(),
        )
        .expect("writing to a string cannot fail");
    }
    text
}

/// All contestants of each row.
pub fn details(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        let Row { name, unit, check, .. } = &verdict.row;
        let rounds = verdict.sides[0].values.len();
        writeln!(text, "{name}, {unit}: median (min–max) of {rounds} rounds; {check}\n").expect("a string");
        text += "| | | ratio | memory, MB |\n| --- | --- | --- | --- |\n";
        for (place, side) in verdict.sides.iter().enumerate() {
            let ratio = if place == 0 { String::new() } else { format!("{:.2}", verdict.ratio_to(place)) };
            writeln!(text, "| {} | {} | {ratio} | {:.0} |", side.name, shown(&side.values), side.peak_mb)
                .expect("writing to a string cannot fail");
        }
        text += "\n";
    }
    text
}

/// One line per contestant and row.
pub fn csv(verdicts: &[Verdict]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "row",
        "unit",
        "contestant",
        "median",
        "least",
        "greatest",
        "rounds",
        "ratio",
        "goal",
        "reached",
        "memory_mb",
        "check",
    ];
    writer.write_record(header).expect("writing to memory cannot fail");
    for verdict in verdicts {
        for (place, side) in verdict.sides.iter().enumerate() {
            let (least, greatest) = range(&side.values);
            let is_best = place == verdict.best;
            let record = [
                verdict.row.name.to_string(),
                verdict.row.unit.to_string(),
                side.name.clone(),
                median(&side.values).to_string(),
                least.to_string(),
                greatest.to_string(),
                side.values.len().to_string(),
                if place == 0 { String::new() } else { format!("{:.4}", verdict.ratio_to(place)) },
                if is_best { verdict.goal() } else { String::new() },
                if is_best { verdict.is_met().to_string() } else { String::new() },
                format!("{:.0}", side.peak_mb),
                verdict.row.check.clone(),
            ];
            writer.write_record(record).expect("writing to memory cannot fail");
        }
    }
    String::from_utf8(writer.into_inner().expect("writing to memory cannot fail")).expect("UTF-8")
}

/// Three significant digits, or all digits of an integer.
fn shown(values: &[f64]) -> String {
    let digits = (2. - median(values).abs().max(1e-9).log10().floor()).clamp(0., 6.) as usize;
    spread(values, digits)
}
