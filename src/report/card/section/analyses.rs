//! The figures class by class, where the model errs, and whether its probabilities are what they say.

use super::groups;
use crate::evaluate::calibration::{self, Bin};
use crate::evaluate::numbers::{percent, thousands};
use crate::evaluate::{ClassFigures, interval::wilson};
use crate::report::card::markdown::{plain, table};
use crate::report::card::{Card, Measured};

/// Of more classes than this, the worst are shown.
const MOST_CLASSES: usize = 50;

/// So many confusions are shown.
const CONFUSIONS: usize = 10;

/// The section.
pub fn section(card: &Card) -> String {
    let of_part = |measured: &Measured| {
        let parts = [
            classes(measured),
            confusions(measured),
            calibration(measured),
            measured.report.groups.as_ref().map(groups::of).unwrap_or_default(),
        ];
        parts
            .iter()
            .filter(|part| !part.is_empty())
            .map(|part| in_part(card, measured, part))
            .collect::<Vec<_>>()
            .join("\n")
    };
    card.measured.iter().map(of_part).collect::<Vec<_>>().join("\n")
}

/// Names the part in the heading.
fn in_part(card: &Card, measured: &Measured, text: &str) -> String {
    match card.measured.len() {
        1 => text.to_string(),
        _ => text.replacen('\n', &format!(", {} rows\n", measured.name), 1),
    }
}

fn classes(measured: &Measured) -> String {
    let mut classes: Vec<(usize, &ClassFigures)> = measured.report.classes.iter().enumerate().collect();
    let all = classes.len();
    if all > MOST_CLASSES {
        classes.sort_by(|(_, a), (_, b)| a.f1.unwrap_or(0.).total_cmp(&b.f1.unwrap_or(0.)));
        classes.truncate(MOST_CLASSES);
    }
    let row = |(index, figures): &(usize, &ClassFigures)| {
        let ClassFigures { class, rows, precision, recall, f1 } = figures;
        let interval = wilson(measured.found.confusion.count(*index, *index), *rows);
        let interval = interval.map_or("–".to_string(), |ends| {
            format!("{} to {}", percent(Some(ends.low)), percent(Some(ends.high)))
        });
        let rows = thousands(*rows as usize);
        vec![plain(class), rows, percent(*precision), percent(*recall), interval, percent(*f1)]
    };
    let columns = ["class", "rows:", "precision:", "recall:", "95 % interval of the recall:", "F1:"];
    let note = if all > MOST_CLASSES {
        format!("\nThe {MOST_CLASSES} classes of {all} with the lowest F1 are shown.\n")
    } else {
        String::new()
    };
    format!("### Classes\n\n{}{note}", table(&columns, classes.iter().map(row)))
}

fn confusions(measured: &Measured) -> String {
    let confusion = &measured.found.confusion;
    let classes = confusion.classes();
    let mut errors: Vec<_> = (0..classes)
        .flat_map(|truth| (0..classes).map(move |predicted| (truth, predicted)))
        .filter(|(truth, predicted)| truth != predicted && confusion.count(*truth, *predicted) > 0)
        .collect();
    errors.sort_by_key(|(truth, predicted)| std::cmp::Reverse(confusion.count(*truth, *predicted)));
    if errors.is_empty() {
        return "### Errors\n\nNone of these rows was classified wrongly.\n".to_string();
    }
    let name = |class: usize| plain(&measured.report.classes[class].class);
    let row = |(truth, predicted): &(usize, usize)| {
        let count = confusion.count(*truth, *predicted);
        let share = count as f64 / confusion.support(*truth) as f64;
        vec![name(*truth), name(*predicted), count.to_string(), percent(Some(share))]
    };
    let (shown, all) = (errors.len().min(CONFUSIONS), errors.len());
    let note = if all > shown {
        format!("\nThe {shown} most frequent of {all} kinds of error.\n")
    } else {
        String::new()
    };
    let columns = ["class", "taken for", "rows:", "share of the class:"];
    format!("### Errors\n\n{}{note}", table(&columns, errors.iter().take(CONFUSIONS).map(row)))
}

fn calibration(measured: &Measured) -> String {
    let Some(scores) = &measured.found.scores else { return String::new() };
    let bins: Vec<Bin> = calibration::bins(scores, 1.).into_iter().filter(|bin| bin.rows > 0.).collect();
    let mean = |of: fn(&Bin) -> f64| {
        bins.iter().map(|bin| bin.rows * of(bin)).sum::<f64>() / measured.report.rows as f64
    };
    let (confidence, accuracy) = (mean(|bin| bin.confidence), mean(|bin| bin.accuracy));
    let verdict = match confidence - accuracy {
        difference if difference.abs() < 0.01 => "about as sure as it is right",
        difference if difference > 0. => "surer than it is right",
        _ => "less sure than it is right",
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
    let columns = ["probability of the answer", "rows:", "mean probability:", "right:"];
    format!(
        "### Calibration\n\nThe expected calibration error is {:.4}: the mean distance between the probability of the answer and \
         the share that is right, over bins. On the whole, the model is {verdict}: it gives its answers a probability of {}, and \
         {} of them are right.\n\n{}",
        calibration::error(scores, 1.),
        percent(Some(confidence)),
        percent(Some(accuracy)),
        table(&columns, bins.iter().map(row))
    )
}
