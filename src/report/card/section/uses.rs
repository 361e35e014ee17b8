//! The fields that the author states: intended use, ethical considerations and license.

use crate::report::card::Card;

fn entries(card: &Card, entries: &[(&str, &str)]) -> String {
    let entry =
        |(title, field): &(&str, &str)| format!("**{title}** {}\n", card.about.or_how_to_state(field));
    entries.iter().map(entry).collect::<Vec<_>>().join("\n")
}

/// The section on intended use.
pub fn section(card: &Card) -> String {
    let uses = [
        ("Intended use.", "intended_use"),
        ("Intended users.", "intended_users"),
        ("Out of scope.", "out_of_scope"),
    ];
    entries(card, &uses)
}

/// The section on ethical considerations.
pub(crate) fn ethics(card: &Card) -> String {
    match card.about.get("ethical_considerations") {
        Some(text) => format!("{text}\n"),
        None => format!(
            "{} The people that the data concerns, and the consequences of errors for them, cannot be derived from the data.\n",
            card.about.or_how_to_state("ethical_considerations")
        ),
    }
}

/// The section on the license.
pub fn license(card: &Card) -> String {
    let link = card.about.get("license_link").map(|link| format!(" ({link})")).unwrap_or_default();
    let terms = if card.about.get("license").is_some() {
        ""
    } else {
        " Without a stated license, no rights are granted."
    };
    format!(
        "**Model.** {}{link}{terms}\n\n**Data.** {}\n",
        card.about.or_how_to_state("license"),
        card.about.or_how_to_state("data_license")
    )
}
