//! What the model was trained and measured on.

use serde_json::Value;

use super::list;
use crate::evaluate::numbers::{percent, thousands};
use crate::report::card::Card;
use crate::report::card::markdown::{code, plain, table};

/// Of more classes than this, those with the fewest and the most rows are shown.
const MOST_CLASSES: usize = 50;

/// The section.
pub fn section(card: &Card) -> String {
    let (metadata, rows) = (&card.metadata, &card.rows);
    let mut facts = vec![
        format!(
            "Data: {}, {} rows in {} classes",
            code(&metadata.data_file),
            thousands(rows.total()),
            metadata.classes.len()
        ),
        format!("SHA-256: {}", code(&metadata.data_sha256)),
        format!("Split: {}. Which row is where, `split.csv` in the run's folder tells", rows.split),
    ];
    if let Some(corrections) = metadata.config.get("feedback_rows").and_then(Value::as_u64) {
        let times = metadata.config.get("feedback_weight").and_then(Value::as_u64).unwrap_or(1);
        facts.push(format!(
            "Besides, a set of {} corrections of an earlier model's answers; each of those trained on stands {times} times among the \
             training rows",
            thousands(corrections as usize)
        ));
    }
    facts.extend(rows.left_out.iter().map(|what| format!("Left out: {what}")));
    let unreadable: usize = card.measured.iter().map(|measured| measured.unreadable).sum();
    if unreadable > 0 {
        facts.push(format!(
            "Left out: {unreadable} pictures that could not be read when the model was measured"
        ));
    }
    facts.push(format!("Preprocessing, inside the model: {}", preprocessing(card)));
    format!(
        "{}\n{}\n{}\n\n**Where the data comes from.** {}\n",
        list(facts),
        classes(card),
        balance(card),
        card.about.or_how_to_state("data_origin")
    )
}

fn preprocessing(card: &Card) -> String {
    use crate::model::preprocessing::PreprocessingKind;
    let preprocessing = &card.metadata.preprocessing;
    let what = match (preprocessing.kind, card.metadata.input.value_range) {
        (PreprocessingKind::Range, Some(range)) => format!("{} to {} becomes 0 to 1", range.min, range.max),
        (PreprocessingKind::Range, None) => "the range of the values becomes 0 to 1".to_string(),
        (PreprocessingKind::Standardize, _) => {
            "each column is brought to mean 0 and deviation 1 of the training rows".to_string()
        }
        (PreprocessingKind::StandardizeChannels, _) => {
            "each channel is brought to mean 0 and deviation 1 of the training pictures".to_string()
        }
    };
    let fill = preprocessing.fill.as_ref().map(|_| {
        format!(
            "; a missing value is replaced by the {} of its column over the training rows",
            card.config.reading.missing
        )
    });
    what + &fill.unwrap_or_default()
}

fn classes(card: &Card) -> String {
    let parts = &card.rows.of_classes;
    let heads = parts.iter().map(|(part, _)| format!("{part}:"));
    let columns: Vec<_> =
        std::iter::once("class".to_string()).chain(heads).chain(["share of all:".to_string()]).collect();
    let (all, total) = (card.rows.by_class(), card.rows.total());
    let row = |class: usize| {
        let counts = parts.iter().map(|(_, counts)| thousands(counts[class]));
        let share = percent(Some(all[class] as f64 / total as f64));
        std::iter::once(plain(&card.metadata.classes[class])).chain(counts).chain([share]).collect()
    };
    let sum = || {
        let sums = parts.iter().map(|(_, counts)| thousands(counts.iter().sum()));
        std::iter::once("*all*".to_string()).chain(sums).chain(["100.00 %".to_string()]).collect()
    };
    let mut order: Vec<usize> = (0..all.len()).collect();
    if order.len() > MOST_CLASSES {
        order.sort_by_key(|class| all[*class]);
        let behind = order.split_off(MOST_CLASSES / 2);
        order.extend(&behind[behind.len() - MOST_CLASSES / 2..]);
    }
    let shown = if order.len() < all.len() {
        "\nOf the classes, those with the fewest and the most rows are shown.\n"
    } else {
        ""
    };
    format!("{}{shown}", table(&columns, order.into_iter().map(row).chain([sum()])))
}

fn balance(card: &Card) -> String {
    let all = card.rows.by_class();
    let (least, most) = (all.iter().min().copied().unwrap_or(0), all.iter().max().copied().unwrap_or(0));
    format!(
        "The largest class has {:.1} times as many rows as the smallest.",
        most as f64 / least.max(1) as f64
    )
}
