//! The groups that are compared.

use crate::data::TaskKind;
use crate::evaluate::numbers::thousands;
use crate::options::Config;
use crate::report::card::Card;
use crate::report::card::markdown::{code, plain, table};

/// Renders the section.
pub fn section(card: &Card) -> String {
    let Some(by) = &card.rows.grouped_by else {
        if card.task() != TaskKind::Classification {
            return "*Groups are compared only for classification.* This card does not state whether the model performs worse for some \
                    people, places or devices.\n"
                .to_string();
        }
        let is_table = card.rows.is_table && !card.has_images();
        let how = if is_table { "`--group-by COLUMN`" } else { "`--groups FILE`" };
        return format!(
            "*No groups were compared; use {how}.* This card does not state whether the model performs worse for some people, \
             places or devices.\n"
        );
    };
    let parts = card.rows.of_classes.iter().map(|(part, _)| format!("{part}:"));
    let columns: Vec<_> = std::iter::once("group".to_string()).chain(parts).collect();
    let rows = card.rows.of_groups.iter().map(|(name, counts)| {
        std::iter::once(plain(name)).chain(counts.iter().map(|count| thousands(*count))).collect()
    });
    format!(
        "Groups by {}. Examples in each part of the split:\n\n{}\nMetrics per group are under \
         *Quantitative analyses*.{}\n",
        code(by),
        table(&columns, rows),
        input_use(&card.config, by, card)
    )
}

/// Whether the group attribute is a model input.
fn input_use(config: &Config, by: &str, card: &Card) -> String {
    let Some(layout) = &card.metadata.input.table else { return String::new() };
    if layout.columns.iter().any(|column| column.name == by) {
        return " It is a model input.".to_string();
    }
    let is_split = config.reading.group.as_ref().is_some_and(|group| group.to_string() == by);
    let split = if is_split { ", and no group is in both the training and the validation set" } else { "" };
    format!(" It is not a model input, but other inputs may correlate with it{split}.")
}
