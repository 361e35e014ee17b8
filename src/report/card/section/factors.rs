//! The groups that the model may serve unequally.

use crate::evaluate::numbers::thousands;
use crate::options::Config;
use crate::report::card::Card;
use crate::report::card::markdown::{code, plain, table};

/// The section.
pub fn section(card: &Card) -> String {
    let Some(by) = &card.rows.grouped_by else {
        let is_table = card.rows.is_table && !card.has_pictures();
        let how = if is_table { "`--group-by COLUMN`" } else { "`--groups FILE`" };
        return format!(
            "*No groups were compared; {how} compares them.* Whether the model serves some people, places or devices worse \
             than others, this card does not know.\n"
        );
    };
    let parts = card.rows.of_classes.iter().map(|(part, _)| format!("{part}:"));
    let columns: Vec<_> = std::iter::once("group".to_string()).chain(parts).collect();
    let rows = card.rows.of_groups.iter().map(|(name, counts)| {
        std::iter::once(plain(name)).chain(counts.iter().map(|count| thousands(*count))).collect()
    });
    format!(
        "Groups are made by {}. Their rows in each part of the data:\n\n{}\nThe figures of each group are below, under \
         *Quantitative analyses*.{}\n",
        code(by),
        table(&columns, rows),
        seen(&card.config, by, card)
    )
}

/// Whether the model sees what makes the groups.
fn seen(config: &Config, by: &str, card: &Card) -> String {
    let Some(layout) = &card.metadata.input.table else { return String::new() };
    if layout.columns.iter().any(|column| column.name == by) {
        return " It is an input of the model.".to_string();
    }
    let is_split = config.reading.group.as_ref().is_some_and(|group| group.to_string() == by);
    let split = if is_split { ", and no group of it is on both sides of the split" } else { "" };
    format!(" It is no input of the model, though inputs may tell of it{split}.")
}
