//! Limitations of the model and its metrics, derived from the facts.

use super::list;
use crate::data::TaskKind;
use crate::evaluate::Interval;
use crate::evaluate::calibration;
use crate::evaluate::groups::GroupReport;
use crate::evaluate::numbers::thousands;
use crate::model::Outputs;
use crate::options::ModelChoice;
use crate::report::card::markdown::plain;
use crate::report::card::{Card, PartEvaluation};

/// Classes and labels with fewer examples than this have uncertain metrics.
const FEW_ROWS: u64 = 20;

/// Ratio of class sizes above which the larger class dominates accuracy.
const UNEVEN: usize = 3;

/// Half-width of the interval of the main metric above which the metric is uncertain.
const WIDE: f64 = 0.01;

/// Calibration error above which probabilities are misleading.
const MISLEADING: f64 = 0.05;

/// Maximum number of listed names.
const MAX_NAMED: usize = 10;

/// Renders the section.
pub fn section(card: &Card) -> String {
    let last = card.measured.last().expect("the model was evaluated");
    let mut limits = vec![selection_bias(card)];
    limits.extend(precision(last));
    limits.extend(fitted(card));
    limits.extend(single_split(card));
    limits.extend(rare_classes(last));
    limits.extend(imbalance(card));
    limits.extend(miscalibration(last));
    limits.extend(last.report.groups.iter().flat_map(|groups| group_limits(card, groups)));
    limits.extend(initial_weights(card));
    limits.push(closed_world(card));
    if card.task() != TaskKind::Ranking {
        limits.push(input_checks(card));
    }
    limits.push(
        "The model was not evaluated on data from another time, place or device, nor on adversarial examples.".to_string(),
    );
    format!(
        "**Recommendations.** {}\n\nDerived from the facts:\n\n{}",
        card.about.or_how_to_state("recommendations"),
        list(limits)
    )
}

/// Whether the evaluation data was also used for model selection.
fn selection_bias(card: &Card) -> String {
    let epoch = card.metadata.metrics.epoch;
    let chose = format!(
        "The validation set also selected epoch {epoch} of {}, and possibly options",
        card.config.epochs
    );
    match card.measured.iter().find(|measured| measured.name == "test") {
        Some(_) => format!(
            "{chose}, so its metrics are slightly optimistic. The test set was not used for any selection."
        ),
        None => format!(
            "{chose}, so the metrics are slightly optimistic. There is no separate test set (`--test-list`, or a test split in \
             the dataset)."
        ),
    }
}

fn precision(measured: &PartEvaluation) -> Option<String> {
    let (metric, value, interval) = measured.headline()?;
    // Without an interval, any share is possible.
    let interval = interval.or(metric.is_share.then_some(Interval { low: 0., high: 1. }))?;
    let (rows, below, above) =
        (thousands(measured.report.rows as usize), value - interval.low, interval.high - value);
    let uncertain = if below > WIDE { ", so it is uncertain" } else { "" };
    let points = |difference: f64| match metric.is_share {
        true => format!("{:.1} points", 100. * difference),
        false => format!("{difference:.4}"),
    };
    let (name, below, above) = (metric.name, points(below), points(above));
    Some(format!(
        "With {rows} {} examples, the 95 % interval of the {name} extends {below} below and {above} above it{uncertain}.",
        measured.name
    ))
}

/// What was fitted to the validation set in addition to the choice of the epoch.
fn fitted(card: &Card) -> Option<String> {
    match &card.metadata.outputs {
        Outputs::Classification | Outputs::Ranking => None,
        Outputs::Multilabel { .. } => Some(
            "The thresholds of the labels were tuned on the validation set for the highest F1; other costs of errors need other \
             thresholds."
                .to_string(),
        ),
        Outputs::Regression { interval: Some(_), .. } => Some(
            "All prediction intervals have the same width. Their coverage is promised on average over new examples from the same \
             distribution, not for every range of values."
                .to_string(),
        ),
        Outputs::Regression { interval: None, .. } => {
            Some("The model has no prediction intervals: the validation set has too few examples.".to_string())
        }
    }
}

fn single_split(card: &Card) -> Option<String> {
    if card.task() == TaskKind::Ranking {
        let text = "Validation choices were drawn at random, so some are older than choices in the training set (use `--split \
                    leave-one-out:COLUMN` or `--split time:COLUMN` to prevent this), and the metrics are optimistic.";
        return card.rows.is_row_by_row.then(|| text.to_string());
    }
    let text = "Examples were drawn individually: if several come from one person, place or device, they may be in both the \
                training and the validation set, and the metrics are optimistic (use `--group` to prevent this). Other random splits \
                give other metrics; `--folds` measures the variation.";
    card.rows.is_row_by_row.then(|| text.to_string())
}

fn rare_classes(measured: &PartEvaluation) -> Option<String> {
    let classes = &measured.report.classes;
    let rare = classes.iter().filter(|class| class.rows < FEW_ROWS);
    let rare: Vec<_> = rare.map(|class| format!("{} ({})", plain(&class.class), class.rows)).collect();
    let named = named(&rare)?;
    Some(format!("Fewer than {FEW_ROWS} {} examples, so metrics are uncertain: {named}.", measured.name))
}

fn imbalance(card: &Card) -> Option<String> {
    let (all, classes) = (card.rows.by_class(), &card.metadata.classes);
    let least = (0..all.len()).min_by_key(|class| all[*class])?;
    let most = (0..all.len()).max_by_key(|class| all[*class])?;
    let dominate = match card.task() {
        TaskKind::Multilabel => {
            "the frequent labels dominate micro F1, while macro F1 and mAP weight all labels equally"
        }
        _ => {
            "the larger classes dominate accuracy, while balanced accuracy and macro F1 weight all classes equally"
        }
    };
    (all[most] >= UNEVEN * all[least].max(1)).then(|| {
        format!(
            "{} has {} examples and {} has {}: {dominate}.",
            plain(&classes[most]),
            thousands(all[most]),
            plain(&classes[least]),
            thousands(all[least])
        )
    })
}

fn miscalibration(measured: &PartEvaluation) -> Option<String> {
    let scores = measured.evaluation.class_scores()?;
    let error = calibration::error(scores, 1.);
    let temperature = calibration::temperature(scores);
    (error > MISLEADING).then(|| {
        format!(
            "Probabilities are off by {:.1} points on average. Temperature scaling with T = {temperature:.2} fits these examples \
             best; the model file does not apply it.",
            100. * error
        )
    })
}

fn group_limits(card: &Card, report: &GroupReport) -> Vec<String> {
    let few: Vec<_> =
        report.groups.iter().filter(|group| !group.is_compared).map(|group| plain(&group.group)).collect();
    let few = named(&few).map(|names| format!("Groups with too few examples to compare: {names}."));
    let unmeasured =
        card.rows.of_groups.iter().filter(|(name, _)| report.groups.iter().all(|group| group.group != *name));
    let unmeasured: Vec<_> = unmeasured.map(|(name, _)| plain(name)).collect();
    let unmeasured = named(&unmeasured).map(|names| format!("Groups without evaluated examples: {names}."));
    let small = "The calibration error of a small group is biased upwards; compare it with care.".to_string();
    few.into_iter().chain(unmeasured).chain([small]).collect()
}

fn initial_weights(card: &Card) -> Option<String> {
    let is_file = matches!(ModelChoice::of(&card.config.model), ModelChoice::File(_));
    (card.config.init.is_some() || card.config.pretrained.is_some() || is_file).then(|| {
        "Training started from the weights of another file. Their training data and license are not known."
            .to_string()
    })
}

fn closed_world(card: &Card) -> String {
    let count = card.metadata.classes.len();
    match card.task() {
        TaskKind::Classification => format!(
            "The model always predicts one of its {count} classes; it does not detect inputs that belong to none of them."
        ),
        TaskKind::Multilabel => {
            format!(
                "The model knows only its {count} labels, and it does not detect inputs unlike the training data."
            )
        }
        TaskKind::Ranking => {
            "The model recommends only items of the training data, and knows nothing of users who are not in it. Choices depend on what users \
             were shown, so items that were shown to few are recommended less than they would be chosen."
                .to_string()
        }
        TaskKind::Regression => {
            let range = card.rows.of_values.first();
            let range = range.map_or(String::new(), |values| {
                format!(
                    " The training values are from {:.4} to {:.4}; it was not tested beyond them.",
                    values.min, values.max
                )
            });
            format!(
                "The model predicts a number for every input, also for one unlike the training data.{range}"
            )
        }
    }
}

/// Which inputs are rejected.
fn input_checks(card: &Card) -> String {
    let input = &card.metadata.input;
    let width = format!("`forward` only checks that an input has {} features", input.shape.features());
    let predict = match (&input.table, input.value_range) {
        (_, Some(range)) if card.has_images() => format!(
            "`cresset predict` rejects values outside {} to {} in a table, and resizes images to {}",
            range.min, range.max, input.shape
        ),
        (Some(_), _) if card.metadata.preprocessing.fill.is_some() => {
            "`cresset predict` rejects unknown categories and imputes missing values".to_string()
        }
        _ => "`cresset predict` rejects missing values and unknown categories".to_string(),
    };
    format!("{width}. {predict}.")
}

/// A list of names, shortened; `None` if it is empty.
fn named(names: &[String]) -> Option<String> {
    let more = names.len().saturating_sub(MAX_NAMED);
    let shown = names[..names.len() - more].join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(shown),
        _ => Some(format!("{shown} and {more} more")),
    }
}
