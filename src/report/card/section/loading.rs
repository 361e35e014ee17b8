//! How to load the model, and its inputs.

use crate::data::TaskKind;
use crate::export::usage;
use crate::report::card::Card;
use crate::report::card::markdown::code;

/// With more columns than this, the names are not listed.
const MAX_COLUMNS: usize = 100;

/// Renders the section.
pub fn section(card: &Card) -> String {
    let features = card.metadata.input.shape.features();
    let command = match card.task() {
        TaskKind::Ranking => "recommend model.pt --user USER",
        _ if card.has_images() => "predict model.pt picture.png",
        _ => "predict model.pt rows.csv",
    };
    format!(
        "{}\n\n```python\n{}```\n\n```cpp\n{}```\n\n{names}, other metadata in the extra file \
         `metadata.json`. TorchScript files contain code: compare the SHA-256 above before you load a file from another source. \
         On the command line:\n\n```sh\ncresset {command}\n```\n",
        inputs(card),
        usage::python("model.pt", features, &card.metadata.outputs),
        usage::cpp("model.pt", features, &card.metadata.outputs),
        names = match card.task() {
            TaskKind::Classification => "The class names are in `model.classes`",
            TaskKind::Multilabel => "The names of the labels are in `model.classes`",
            TaskKind::Regression => "The name of the predicted number is in `model.classes`",
            TaskKind::Ranking => "The items are in `model.items`",
        }
    )
}

fn inputs(card: &Card) -> String {
    let input = &card.metadata.input;
    if card.task() == TaskKind::Ranking {
        return "Users and items are given by their names. Items that a user chose before are recommended again unless they are left out."
            .to_string();
    }
    let features = input.shape.features();
    let Some(layout) = input.table.as_ref().filter(|_| !card.has_images()) else {
        let range =
            input.value_range.map(|range| format!(", {} to {}", range.min, range.max)).unwrap_or_default();
        return format!(
            "Inputs are raw values{range}, uint8 or float, of shape (N, {features}) or (N, {}).",
            input.shape.to_string().replace('×', ", ")
        );
    };
    let names = layout.feature_names();
    if names.len() > MAX_COLUMNS {
        return format!(
            "An input has {features} raw values in the column order of the table; see `metadata.json`."
        );
    }
    let texts = if names.len() > layout.columns.len() { ", categories one-hot" } else { "" };
    let names: Vec<_> = names.iter().map(|name| code(name)).collect();
    format!(
        "An input has {features} raw values in this order{texts}: {}. `cresset predict` finds the columns by the \
         header of the file.",
        names.join(", ")
    )
}
