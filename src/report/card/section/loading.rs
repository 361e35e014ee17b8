//! How to load the model, and what to give it.

use crate::export::usage;
use crate::report::card::Card;
use crate::report::card::markdown::code;

/// Of more columns than this, the names are not listed.
const MOST_COLUMNS: usize = 100;

/// The section.
pub fn section(card: &Card) -> String {
    let features = card.metadata.input.shape.features();
    format!(
        "{}\n\n```python\n{}```\n\n```cpp\n{}```\n\nThe names of the classes are in `model.classes`, all else in the extra file \
         `metadata.json`. TorchScript is code: compare the SHA-256 above before you load a file from elsewhere. Without a \
         program of your own:\n\n```sh\ncresset predict model.pt {}\n```\n",
        inputs(card),
        usage::python("model.pt", features),
        usage::cpp("model.pt", features),
        if card.has_pictures() { "picture.png" } else { "rows.csv" }
    )
}

fn inputs(card: &Card) -> String {
    let input = &card.metadata.input;
    let features = input.shape.features();
    let Some(layout) = input.table.as_ref().filter(|_| !card.has_pictures()) else {
        let range =
            input.value_range.map(|range| format!(", {} to {}", range.min, range.max)).unwrap_or_default();
        return format!(
            "An input is raw values{range}, uint8 or float: (N, {features}) or (N, {}).",
            input.shape.to_string().replace('×', ", ")
        );
    };
    let names = layout.feature_names();
    if names.len() > MOST_COLUMNS {
        return format!(
            "An input is {features} raw values in the order of the table's columns; `metadata.json` names them."
        );
    }
    let texts = if names.len() > layout.columns.len() { ", texts as 0 and 1" } else { "" };
    let names: Vec<_> = names.iter().map(|name| code(name)).collect();
    format!(
        "An input is {features} raw values in this order{texts}: {}. `cresset predict` finds the columns by the \
         header of the file.",
        names.join(", ")
    )
}
