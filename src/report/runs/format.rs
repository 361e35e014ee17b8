//! Formats the differences between two runs.

use serde_json::Value;

use super::difference::{Change, DataDifference, FigurePair, PartPair, RunDifference};
use super::facts::Facts;
use super::predictions::ModelComparison;
use super::query::text;
use super::table::cell;
use crate::data::terminal;
use crate::error::excerpt;
use crate::evaluate::mcnemar::{McNemar, Method};
use crate::evaluate::numbers::{percent, thousands};

impl RunDifference {
    /// Formats as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a difference is plain data") + "\n"
    }

    /// Formats as CSV with the columns kind, name, a and b: one row per option and figure.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut write = |row: [&str; 4]| writer.write_record(row).expect("a record can be written to memory");
        let shown = |value: &Option<Value>| value.as_ref().map(text).unwrap_or_default();
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        write(["kind", "name", "a", "b"]);
        for Change { name, a, b } in &self.options {
            write(["option", name, &shown(a), &shown(b)]);
        }
        for PartPair { part, a, b, .. } in &self.data.parts {
            write(["rows", part, &a.to_string(), &b.to_string()]);
        }
        for FigurePair { name, a, b, .. } in &self.figures {
            write(["figure", name, &number(*a), &number(*b)]);
        }
        if let Some(ModelComparison { test, accuracy_a, accuracy_b, .. }) = &self.compared {
            write(["common rows", "accuracy", &accuracy_a.to_string(), &accuracy_b.to_string()]);
            write(["common rows", "right alone", &test.only_a.to_string(), &test.only_b.to_string()]);
            write(["common rows", "p", &test.p.to_string(), &test.p.to_string()]);
        }
        writer.into_inner().expect("a record can be written to memory")
    }

    /// Formats as tables and sentences.
    pub fn to_text(&self) -> String {
        let names = format!("a  {}\nb  {}\n", terminal::path(&self.a), terminal::path(&self.b));
        let figures = self.figures.iter().map(figure_row);
        let figures = rows(["metric", "a", "b", "b − a"], figures.collect());
        let verdict = match (&self.compared, &self.not_compared) {
            (Some(compared), _) => comparison_text(compared),
            (None, Some(reason)) => {
                format!("The models were not compared by example: {}.\n", terminal::line(reason))
            }
            (None, None) => String::new(),
        };
        format!(
            "{names}\n{}\n{}\n{figures}\n{verdict}",
            option_table(&self.options),
            data_summary(&self.data)
        )
    }
}

fn option_table(options: &[Change]) -> String {
    if options.is_empty() {
        return "All options are the same.\n".to_string();
    }
    let value =
        |value: &Option<Value>| value.as_ref().map_or("–".to_string(), |value| excerpt(&text(value)));
    let row = |change: &Change| [change.name.clone(), value(&change.a), value(&change.b), String::new()];
    rows(["option", "a", "b", ""], options.iter().map(row).collect())
}

fn data_summary(data: &DataDifference) -> String {
    let head = match data.same_data {
        true => "The data is the same",
        false => "The data differs",
    };
    let part = |PartPair { part, a, b, common }: &PartPair| {
        let part = if part == "heldout" { "validation" } else { part };
        match (a == b && a == common, data.same_data) {
            (true, true) => format!("the {} {part} examples are the same", thousands(*a)),
            (_, true) => {
                let (a, b, common) = (thousands(*a), thousands(*b), thousands(*common));
                format!("{part} examples: {a} and {b}, {common} in common")
            }
            (_, false) => format!("{part} examples: {} and {}", thousands(*a), thousands(*b)),
        }
    };
    let parts: Vec<_> = data.parts.iter().map(part).collect();
    if parts.is_empty() { format!("{head}.\n") } else { format!("{head}; {}.\n", parts.join("; ")) }
}

fn figure_row(pair: &FigurePair) -> [String; 4] {
    let shown = |value: Option<f64>| match value {
        Some(value) => {
            let facts = Facts::from_iter([(pair.name.clone(), value.into())]);
            cell(&facts, &pair.name)
        }
        None => "–".to_string(),
    };
    let difference = match pair.difference {
        Some(0.) => "=".to_string(),
        Some(difference) => {
            let sign = if difference > 0. { "+" } else { "−" };
            format!("{sign}{}", shown(Some(difference.abs())))
        }
        None => String::new(),
    };
    [pair.name.clone(), shown(pair.a), shown(pair.b), difference]
}

/// A table of four columns: the first is left-aligned, the others right-aligned.
fn rows(header: [&str; 4], rows: Vec<[String; 4]>) -> String {
    let all: Vec<[String; 4]> = std::iter::once(header.map(String::from)).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [first, a, b, last] = std::array::from_fn(width);
    let line = |row: &[String; 4]| {
        let [name, of_a, of_b, difference] = row;
        format!("{name:<first$}  {of_a:>a$}  {of_b:>b$}  {difference:>last$}").trim_end().to_string() + "\n"
    };
    all.iter().map(line).collect()
}

/// The result of McNemar's test.
fn comparison_text(compared: &ModelComparison) -> String {
    let ModelComparison { rows, same_rows, accuracy_a, accuracy_b, test } = compared;
    let which = match same_rows {
        true => format!("On the {} validation examples of both runs", thousands(*rows as usize)),
        false => format!("On the {} examples in both validation sets", thousands(*rows as usize)),
    };
    let shares = format!(
        "accuracy: a {}, b {}; only a correct: {}, only b correct: {}.",
        percent(Some(*accuracy_a)),
        percent(Some(*accuracy_b)),
        test.only_a,
        test.only_b
    );
    format!("{which}, {shares}\n{}\n", significance(test))
}

fn significance(test: &McNemar) -> String {
    let method = match test.method {
        Method::ExactBinomial => "exact binomial",
        Method::ChiSquared => "chi-squared with continuity correction",
    };
    let cited = format!("McNemar's test (1947), {method}: p = {}", probability(test.p));
    if test.only_a + test.only_b == 0 {
        return "Both models are correct on the same examples, so there is no difference.".to_string();
    }
    match (test.is_significant(), test.only_a > test.only_b) {
        (true, true) => format!("a is significantly better at the 5 % level ({cited})."),
        (true, false) => format!("b is significantly better at the 5 % level ({cited})."),
        (false, _) => format!("The difference is not significant at the 5 % level ({cited})."),
    }
}

fn probability(p: f64) -> String {
    if p < 0.0001 { format!("{p:.1e}") } else { format!("{p:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn significance_of(only_a: usize, only_b: usize) -> String {
        let right =
            std::iter::repeat_n((true, false), only_a).chain(std::iter::repeat_n((false, true), only_b));
        significance(&McNemar::new(right))
    }

    #[test]
    fn the_verdict_is_plain() {
        assert_eq!(
            significance_of(1, 9),
            "b is significantly better at the 5 % level (McNemar's test (1947), exact binomial: p = 0.0215)."
        );
        assert!(significance_of(30, 5).starts_with("a is significantly better"));
        assert!(
            significance_of(30, 5).contains("chi-squared with continuity correction: p = 5.0e-5"),
            "{}",
            significance_of(30, 5)
        );
        assert!(significance_of(6, 5).starts_with("The difference is not significant"));
        assert!(significance_of(0, 0).contains("there is no difference"));
    }
}
