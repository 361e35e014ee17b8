//! What the figures do not say, and what the model does not do: found from the facts.

use super::list;
use crate::evaluate::calibration;
use crate::evaluate::groups::GroupReport;
use crate::evaluate::numbers::thousands;
use crate::options::ModelChoice;
use crate::report::card::markdown::plain;
use crate::report::card::{Card, Measured};

/// A class of fewer measured rows is hardly measured.
const FEW_ROWS: u64 = 20;

/// A class this many times as large as another outweighs it in the accuracy.
const UNEVEN: usize = 3;

/// An accuracy whose interval reaches farther than this is not known to a point.
const WIDE: f64 = 0.01;

/// A calibration error above this makes probabilities misleading.
const MISLEADING: f64 = 0.05;

/// Of more classes or groups than this, the number is told and some names.
const MOST_NAMED: usize = 10;

/// The section.
pub fn section(card: &Card) -> String {
    let last = card.measured.last().expect("something is measured");
    let mut limits = vec![choice(card), precision(last)];
    limits.extend(single_split(card));
    limits.extend(rare_classes(last));
    limits.extend(imbalance(card));
    limits.extend(miscalibration(last));
    limits.extend(last.report.groups.iter().flat_map(|groups| of_groups(card, groups)));
    limits.extend(foreign_weights(card));
    limits.push(closed_world(card));
    limits.push(refusals(card));
    limits.push(
        "Nothing was measured on data of another time, place or device, nor on inputs made to deceive the model.".to_string(),
    );
    format!(
        "**Recommendations.** {}\n\nFound from the facts:\n\n{}",
        card.about.or_how_to_state("recommendations"),
        list(limits)
    )
}

/// What the rows were used for beside measuring.
fn choice(card: &Card) -> String {
    let epoch = card.metadata.metrics.epoch;
    let chose =
        format!("The held-out rows also chose epoch {epoch} of {}, and perhaps options", card.config.epochs);
    match card.measured.iter().find(|measured| measured.name == "test") {
        Some(_) => format!("{chose}, so their figures are a little flattered. The test rows chose nothing."),
        None => format!(
            "{chose}, so the figures are a little flattered. No rows were kept aside for a last measurement (`--test-list`, or a \
             test portion)."
        ),
    }
}

fn precision(measured: &Measured) -> String {
    let (accuracy, interval) = measured.accuracy();
    let (rows, below, above) =
        (thousands(measured.report.rows as usize), accuracy - interval.low, interval.high - accuracy);
    let only = if below > WIDE { "only " } else { "" };
    format!(
        "From {rows} {} rows, the accuracy is {only}known to lie between {:.1} points below and {:.1} points above its figure.",
        measured.name,
        100. * below,
        100. * above
    )
}

fn single_split(card: &Card) -> Option<String> {
    let text = "Rows were drawn one by one: if several come from one person, place or device, they are on both sides of the \
                split, and the figures are better than on new ones (`--group` prevents it). Other draws give other figures; \
                `--folds` shows how far they scatter.";
    card.rows.is_row_by_row.then(|| text.to_string())
}

fn rare_classes(measured: &Measured) -> Option<String> {
    let classes = &measured.report.classes;
    let rare = classes.iter().filter(|class| class.rows < FEW_ROWS);
    let rare: Vec<_> = rare.map(|class| format!("{} ({})", plain(&class.class), class.rows)).collect();
    let named = named(&rare)?;
    Some(format!("Fewer than {FEW_ROWS} {} rows, so hardly measured: {named}.", measured.name))
}

fn imbalance(card: &Card) -> Option<String> {
    let (all, classes) = (card.rows.by_class(), &card.metadata.classes);
    let least = (0..all.len()).min_by_key(|class| all[*class])?;
    let most = (0..all.len()).max_by_key(|class| all[*class])?;
    (all[most] >= UNEVEN * all[least].max(1)).then(|| {
        format!(
            "{} has {} rows and {} has {}: accuracy speaks mostly of the larger classes, balanced accuracy and macro F1 of all alike.",
            plain(&classes[most]),
            thousands(all[most]),
            plain(&classes[least]),
            thousands(all[least])
        )
    })
}

fn miscalibration(measured: &Measured) -> Option<String> {
    let scores = measured.found.scores.as_ref()?;
    let error = calibration::error(scores, 1.);
    let temperature = calibration::temperature(scores);
    (error > MISLEADING).then(|| {
        format!(
            "Probabilities are off by {:.1} points on average. Dividing the logits by {temperature:.2} would suit these rows \
             best; the file does not do so.",
            100. * error
        )
    })
}

fn of_groups(card: &Card, report: &GroupReport) -> Vec<String> {
    let few: Vec<_> =
        report.groups.iter().filter(|group| !group.is_compared).map(|group| plain(&group.group)).collect();
    let few = named(&few).map(|names| format!("Groups with too few rows to be compared: {names}."));
    let unmeasured =
        card.rows.of_groups.iter().filter(|(name, _)| report.groups.iter().all(|group| group.group != *name));
    let unmeasured: Vec<_> = unmeasured.map(|(name, _)| plain(name)).collect();
    let unmeasured = named(&unmeasured).map(|names| format!("Groups of which no row was measured: {names}."));
    let small =
        "The calibration error of a small group is large by chance alone; compare it with care.".to_string();
    few.into_iter().chain(unmeasured).chain([small]).collect()
}

fn foreign_weights(card: &Card) -> Option<String> {
    let is_file = matches!(ModelChoice::of(&card.config.model), ModelChoice::File(_));
    (card.config.init.is_some() || is_file).then(|| {
        "Training began with the weights of another file. What data they come from, and on what terms, this card does not know."
            .to_string()
    })
}

fn closed_world(card: &Card) -> String {
    format!(
        "The model answers with one of its {} classes whatever it is given; it does not notice an input that is of none of them.",
        card.metadata.classes.len()
    )
}

/// What is refused, and what is not.
fn refusals(card: &Card) -> String {
    let input = &card.metadata.input;
    let width = format!(
        "`forward` refuses inputs of another width than {}, and checks nothing else",
        input.shape.features()
    );
    let predict = match (&input.table, input.value_range) {
        (_, Some(range)) if card.has_pictures() => format!(
            "`cresset predict` refuses values outside {} to {} in a table, and brings pictures of any size to {}",
            range.min, range.max, input.shape
        ),
        (Some(_), _) if card.metadata.preprocessing.fill.is_some() => {
            "`cresset predict` refuses texts that it was not trained on; missing values it fills in"
                .to_string()
        }
        _ => "`cresset predict` refuses missing values, and texts that it was not trained on".to_string(),
    };
    format!("{width}. {predict}.")
}

/// Names, of many the first ones; none if there are none.
fn named(names: &[String]) -> Option<String> {
    let more = names.len().saturating_sub(MOST_NAMED);
    let shown = names[..names.len() - more].join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(shown),
        _ => Some(format!("{shown} and {more} more")),
    }
}
