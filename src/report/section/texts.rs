//! The accuracy by the length of texts.

use super::Report;
use crate::evaluate::interval::wilson;
use crate::report::chart::Titles;
use crate::report::column_charts::{Series, curves};

/// The most groups of texts of similar length, and the fewest texts in one.
const GROUPS: usize = 8;
const LEAST: usize = 10;

/// A chart of the accuracy by length; none for other data than texts, and without classes.
pub fn section(report: &Report) -> Option<String> {
    let (lengths, scores) = (report.text_lengths.as_ref()?, report.evaluation.class_scores()?);
    let is_right = scores.logits.argmax(-1, false).eq_tensor(&scores.labels);
    let is_right = Vec::<bool>::try_from(is_right).ok()?;
    let mut texts: Vec<(usize, bool)> = lengths.iter().copied().zip(is_right).collect();
    texts.sort_unstable();
    let groups = (texts.len() / LEAST).clamp(1, GROUPS);
    let size = texts.len().div_ceil(groups).max(1);
    let (mut places, mut accuracy, mut low, mut high) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut start = 0;
    while start < texts.len() {
        // Texts of the same length are in the same group.
        let end = (start + size).min(texts.len());
        let end = end + texts[end..].iter().take_while(|(length, _)| *length == texts[end - 1].0).count();
        let group = &texts[start..end];
        let right = group.iter().filter(|(_, is_right)| *is_right).count() as u64;
        let interval = wilson(right, group.len() as u64)?;
        places.push(group.iter().map(|(length, _)| *length as f64).sum::<f64>() / group.len() as f64);
        accuracy.push(100. * right as f64 / group.len() as f64);
        low.push(100. * interval.low);
        high.push(100. * interval.high);
        start = end;
    }
    if places.len() < 2 {
        return None;
    }
    let titles =
        Titles { chart: "Accuracy by length", across: "tokens that the model reads", down: "accuracy, %" };
    let series = [Series { name: "", color: "--one", values: accuracy, band: Some((low, high)) }];
    Some(format!(
        "<p>Texts of the validation set in {} groups of similar length, with the 95 % interval of the accuracy.</p>\n<div \
         class=\"plots\" style=\"max-width:36rem\">{}</div>\n",
        places.len(),
        curves(&titles, &places, &series)
    ))
}
