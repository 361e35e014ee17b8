//! The data for training and evaluation.

use serde_json::Value;

use super::list;
use crate::data::{TaskKind, ValueSummary};
use crate::evaluate::numbers::{percent, thousands};
use crate::report::card::Card;
use crate::report::card::markdown::{code, plain, table};

/// With more classes or labels than this, only the smallest and largest are shown.
const MAX_CLASSES: usize = 50;

/// Renders the section.
pub fn section(card: &Card) -> String {
    let (metadata, rows) = (&card.metadata, &card.rows);
    let mut facts = vec![
        format!("Data: {}, {} examples{}", code(&metadata.data_file), thousands(rows.total()), targets(card)),
        format!("SHA-256: {}", code(&metadata.data_sha256)),
        format!("Split: {}. `split.csv` in the run folder lists it", rows.split),
    ];
    if let Some(corrections) = metadata.config.get("feedback_rows").and_then(Value::as_u64) {
        let times = metadata.config.get("feedback_weight").and_then(Value::as_u64).unwrap_or(1);
        facts.push(format!(
            "In addition, {} corrections of an earlier model's predictions; each one in the training set is repeated {times} \
             times",
            thousands(corrections as usize)
        ));
    }
    facts.extend(rows.left_out.iter().map(|what| format!("Left out: {what}")));
    let unreadable: usize = card.measured.iter().map(|measured| measured.unreadable).sum();
    if unreadable > 0 {
        facts.push(format!("Left out: {unreadable} images that could not be read during evaluation"));
    }
    if card.task() != TaskKind::Ranking {
        facts.push(format!("Preprocessing (part of the model): {}", preprocessing(card)));
    }
    let counts = match card.task() {
        TaskKind::Regression => values(card),
        TaskKind::Ranking => choices(card),
        _ => format!("{}\n{}\n", classes(card), balance(card)),
    };
    format!(
        "{}\n{counts}\n**Origin of the data.** {}\n",
        list(facts),
        card.about.or_how_to_state("data_origin")
    )
}

/// The classes, the labels or the quantity of the examples, as in ` in 3 classes`.
fn targets(card: &Card) -> String {
    let classes = &card.metadata.classes;
    match card.task() {
        TaskKind::Classification => format!(" in {} classes", classes.len()),
        TaskKind::Multilabel => format!(" with any number of {} labels", classes.len()),
        TaskKind::Regression => format!(" with a value of {}", plain(&classes[0])),
        TaskKind::Ranking => " of an item chosen by a user".to_string(),
    }
}

/// The number of choices in each part.
fn choices(card: &Card) -> String {
    let parts = card.rows.of_classes.iter().map(|(part, _)| part.to_string());
    table(&["part", "choices:"], parts.zip(&card.rows.sizes).map(|(part, size)| vec![part, thousands(*size)]))
}

/// The distribution of the quantity in each part.
fn values(card: &Card) -> String {
    let parts = card.rows.of_classes.iter().map(|(part, _)| part.to_string());
    let columns = ["part", "examples:", "minimum:", "mean:", "maximum:", "standard deviation:"];
    let row = |(part, values): (String, &ValueSummary)| {
        let figures = [values.min, values.mean, values.max, values.deviation];
        [part, thousands(values.rows)]
            .into_iter()
            .chain(figures.map(|figure| format!("{figure:.4}")))
            .collect()
    };
    table(&columns, parts.zip(&card.rows.of_values).map(row))
}

fn preprocessing(card: &Card) -> String {
    use crate::model::preprocessing::PreprocessingKind;
    let preprocessing = &card.metadata.preprocessing;
    let what = match (preprocessing.kind, card.metadata.input.value_range) {
        (PreprocessingKind::Range, Some(range)) => {
            format!("values from {} to {} are scaled to the range 0 to 1", range.min, range.max)
        }
        (PreprocessingKind::Range, None) => "values are scaled to the range 0 to 1".to_string(),
        (PreprocessingKind::Standardize, _) => {
            "each column is standardized with the mean and standard deviation of the training set".to_string()
        }
        (PreprocessingKind::Quantiles, _) => {
            "the quantiles of each numeric column in the training set are mapped to a normal distribution".to_string()
        }
        (PreprocessingKind::Tokens | PreprocessingKind::TokenPairs, _) => "texts are sequences of token ids".to_string(),
        (PreprocessingKind::StandardizeChannels, _) => {
            "each channel is standardized with the mean and standard deviation of the training set"
                .to_string()
        }
        (PreprocessingKind::FixedChannels, _) => {
            "each channel is normalized with the fixed mean and standard deviation of the option `normalization`"
                .to_string()
        }
    };
    let fill = preprocessing.fill.as_ref().map(|_| {
        format!(
            "; missing values are imputed with the {} of the column in the training set",
            card.config.reading.missing
        )
    });
    what + &fill.unwrap_or_default()
}

fn classes(card: &Card) -> String {
    let parts = &card.rows.of_classes;
    let heads = parts.iter().map(|(part, _)| format!("{part}:"));
    let is_multilabel = card.task() == TaskKind::Multilabel;
    let (noun, plural) = if is_multilabel { ("label", "labels") } else { ("class", "classes") };
    let columns: Vec<_> =
        std::iter::once(noun.to_string()).chain(heads).chain(["share of all:".to_string()]).collect();
    let (all, total) = (card.rows.by_class(), card.rows.total());
    let row = |class: usize| {
        let counts = parts.iter().map(|(_, counts)| thousands(counts[class]));
        let share = percent(Some(all[class] as f64 / total as f64));
        std::iter::once(plain(&card.metadata.classes[class])).chain(counts).chain([share]).collect()
    };
    let sum = || {
        let sums = card.rows.sizes.iter().map(|rows| thousands(*rows));
        let all = if is_multilabel { "*all examples*" } else { "*all*" };
        std::iter::once(all.to_string()).chain(sums).chain(["100.00 %".to_string()]).collect()
    };
    let mut order: Vec<usize> = (0..all.len()).collect();
    if order.len() > MAX_CLASSES {
        order.sort_by_key(|class| all[*class]);
        let behind = order.split_off(MAX_CLASSES / 2);
        order.extend(&behind[behind.len() - MAX_CLASSES / 2..]);
    }
    let shown = if order.len() < all.len() {
        format!("\nOnly the {plural} with the fewest and the most examples are shown.\n")
    } else {
        String::new()
    };
    format!("{}{shown}", table(&columns, order.into_iter().map(row).chain([sum()])))
}

fn balance(card: &Card) -> String {
    let all = card.rows.by_class();
    let (least, most) = (all.iter().min().copied().unwrap_or(0), all.iter().max().copied().unwrap_or(0));
    let (most_frequent, least_frequent) = match card.task() {
        TaskKind::Multilabel => ("most frequent label", "least frequent one"),
        _ => ("largest class", "smallest"),
    };
    format!(
        "The {most_frequent} has {:.1} times as many examples as the {least_frequent}.",
        most as f64 / least.max(1) as f64
    )
}
