//! The metrics of recommendations, and the items that are recommended most often.

use super::Report;
use crate::evaluate::numbers::{percent, thousands};
use crate::report::html::escaped;
use crate::report::recommendations::{RecommendedItem, RecommendedItems};

/// Maximum number of items in the table.
const LISTED: usize = 20;

pub fn section(report: &Report) -> Option<String> {
    let recommended = report.recommended.as_ref()?;
    let RecommendedItems { users, places, items } = recommended;
    let [of_recommendations, of_choices] = recommended.popular_shares().map(|share| percent(Some(share)));
    let share = |count: u32| percent(Some(f64::from(count) / (*users).max(1) as f64));
    let row = |item: &RecommendedItem| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&item.name),
            thousands(item.users as usize),
            share(item.users),
            thousands(item.choices as usize)
        )
    };
    let never = items.iter().filter(|item| item.users == 0).count();
    Some(format!(
        "<p>The first {places} recommendations to each of {} users of the validation set. The tenth of the items with the most choices in the \
         training set has {of_choices} of the choices and {of_recommendations} of the recommendations; {} of {} items are recommended to \
         nobody.</p>\n<div class=\"wide\"><table><tr><th>item</th><th>users</th><th>share of users</th><th>choices in training</th></tr>{}\
         </table></div>\n{}",
        thousands(*users),
        thousands(never),
        thousands(items.len()),
        items.iter().take(LISTED).map(row).collect::<String>(),
        super::metric_table(report)
    ))
}
