//! Metrics per class or label, errors and calibration.

use super::{groups, labels, values};
use crate::evaluate::calibration::{self, Bin};
use crate::evaluate::numbers::{percent, thousands};
use crate::evaluate::{ClassMetrics, interval::wilson};
use crate::report::card::markdown::{plain, table};
use crate::report::card::{Card, PartEvaluation};

/// With more classes than this, only the worst are shown.
const MAX_CLASSES: usize = 50;

/// Maximum number of confusions shown.
const CONFUSIONS: usize = 10;

/// Renders the section.
pub fn section(card: &Card) -> String {
    let of_part = |measured: &PartEvaluation| {
        let parts = [
            classes(measured),
            labels::table_of(measured),
            confusions(measured),
            labels::errors(measured),
            values::residuals(measured),
            recommended(measured),
            calibration(measured),
            measured.report.groups.as_ref().map(groups::of).unwrap_or_default(),
        ];
        parts
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| with_part(card, measured, part))
            .collect::<Vec<_>>()
            .join("\n")
    };
    card.measured.iter().map(of_part).collect::<Vec<_>>().join("\n")
}

/// Adds the part to the headings if there are several.
fn with_part(card: &Card, measured: &PartEvaluation, text: &str) -> String {
    match card.measured.len() {
        1 => text.to_string(),
        _ => text.replacen('\n', &format!(", {} set\n", measured.name), 1),
    }
}

fn classes(measured: &PartEvaluation) -> String {
    let Some(confusion) = measured.evaluation.confusion() else { return String::new() };
    let mut classes: Vec<(usize, &ClassMetrics)> = measured.report.classes.iter().enumerate().collect();
    let all = classes.len();
    if all > MAX_CLASSES {
        classes.sort_by(|(_, a), (_, b)| a.f1.unwrap_or(0.).total_cmp(&b.f1.unwrap_or(0.)));
        classes.truncate(MAX_CLASSES);
    }
    let row = |(index, figures): &(usize, &ClassMetrics)| {
        let ClassMetrics { class, rows, precision, recall, f1, .. } = figures;
        let interval = wilson(confusion.count(*index, *index), *rows);
        let interval = interval.map_or("–".to_string(), |ends| {
            format!("{} to {}", percent(Some(ends.low)), percent(Some(ends.high)))
        });
        let rows = thousands(*rows as usize);
        vec![plain(class), rows, percent(*precision), percent(*recall), interval, percent(*f1)]
    };
    let columns = ["class", "examples:", "precision:", "recall:", "95 % interval of the recall:", "F1:"];
    let note = if all > MAX_CLASSES {
        format!("\nOnly the {MAX_CLASSES} of {all} classes with the lowest F1 are shown.\n")
    } else {
        String::new()
    };
    format!("### Classes\n\n{}{note}", table(&columns, classes.iter().map(row)))
}

fn confusions(measured: &PartEvaluation) -> String {
    let Some(confusion) = measured.evaluation.confusion() else { return String::new() };
    let classes = confusion.classes();
    let mut errors: Vec<_> = (0..classes)
        .flat_map(|truth| (0..classes).map(move |predicted| (truth, predicted)))
        .filter(|(truth, predicted)| truth != predicted && confusion.count(*truth, *predicted) > 0)
        .collect();
    errors.sort_by_key(|(truth, predicted)| std::cmp::Reverse(confusion.count(*truth, *predicted)));
    if errors.is_empty() {
        return "### Errors\n\nNo example was misclassified.\n".to_string();
    }
    let name = |class: usize| plain(&measured.report.classes[class].class);
    let row = |(truth, predicted): &(usize, usize)| {
        let count = confusion.count(*truth, *predicted);
        let share = count as f64 / confusion.support(*truth) as f64;
        vec![name(*truth), name(*predicted), count.to_string(), percent(Some(share))]
    };
    let (shown, all) = (errors.len().min(CONFUSIONS), errors.len());
    let note = if all > shown {
        format!("\nThe {shown} most frequent of {all} confusions.\n")
    } else {
        String::new()
    };
    let columns = ["actual", "predicted", "examples:", "share of the class:"];
    format!("### Errors\n\n{}{note}", table(&columns, errors.iter().take(CONFUSIONS).map(row)))
}

/// How many items are recommended, and how often the most frequent one.
fn recommended(measured: &PartEvaluation) -> String {
    let Some(sums) = measured.evaluation.ranking() else { return String::new() };
    let counts = sums.recommended();
    let most = counts.iter().max().copied().unwrap_or(0);
    let share = percent(Some(f64::from(most) / sums.users().max(1) as f64));
    let never = counts.iter().filter(|users| **users == 0).count();
    format!(
        "### Recommended items\n\nOf {} items, {} are among the first ten recommendations of none of {} users. The most frequent one is \
         recommended to {share} of the users.\n",
        thousands(counts.len()),
        thousands(never),
        thousands(sums.users())
    )
}

fn calibration(measured: &PartEvaluation) -> String {
    let Some(scores) = measured.evaluation.class_scores() else { return String::new() };
    let bins: Vec<Bin> = calibration::bins(scores, 1.).into_iter().filter(|bin| bin.rows > 0.).collect();
    let mean = |of: fn(&Bin) -> f64| {
        bins.iter().map(|bin| bin.rows * of(bin)).sum::<f64>() / measured.report.rows as f64
    };
    let (confidence, accuracy) = (mean(|bin| bin.confidence), mean(|bin| bin.accuracy));
    let verdict = match confidence - accuracy {
        difference if difference.abs() < 0.01 => "well calibrated",
        difference if difference > 0. => "overconfident",
        _ => "underconfident",
    };
    let row = |bin: &Bin| {
        let between = format!("{:.0} to {:.0} %", 100. * bin.low, 100. * bin.high);
        vec![
            between,
            thousands(bin.rows as usize),
            percent(Some(bin.confidence)),
            percent(Some(bin.accuracy)),
        ]
    };
    let columns = ["confidence", "examples:", "mean confidence:", "accuracy:"];
    format!(
        "### Calibration\n\nThe expected calibration error is {:.4}: the mean difference between confidence and accuracy over \
         bins. Overall, the model is {verdict}: its mean confidence is {}, and its accuracy is \
         {}.\n\n{}",
        calibration::error(scores, 1.),
        percent(Some(confidence)),
        percent(Some(accuracy)),
        table(&columns, bins.iter().map(row))
    )
}
