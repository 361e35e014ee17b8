//! What only people know: what the model is for, whom it concerns, and on what terms it is given.

use crate::report::card::Card;

fn entries(card: &Card, entries: &[(&str, &str)]) -> String {
    let entry =
        |(title, field): &(&str, &str)| format!("**{title}** {}\n", card.about.or_how_to_state(field));
    entries.iter().map(entry).collect::<Vec<_>>().join("\n")
}

/// The section on use.
pub fn section(card: &Card) -> String {
    let uses = [
        ("What it is for.", "intended_use"),
        ("Who is meant to use it.", "intended_users"),
        ("What it is not for.", "out_of_scope"),
    ];
    entries(card, &uses)
}

/// The section on ethics.
pub fn ethics(card: &Card) -> String {
    match card.about.get("ethical_considerations") {
        Some(text) => format!("{text}\n"),
        None => format!(
            "{} No program can tell from the data whom it is about, and what a wrong answer does to them.\n",
            card.about.or_how_to_state("ethical_considerations")
        ),
    }
}

/// The section on the terms.
pub fn licence(card: &Card) -> String {
    let link = card.about.get("license_link").map(|link| format!(" ({link})")).unwrap_or_default();
    let terms =
        if card.about.get("license").is_some() { "" } else { " As long as none is stated, none is given." };
    format!(
        "**Of the model.** {}{link}{terms}\n\n**Of the data.** {}\n",
        card.about.or_how_to_state("license"),
        card.about.or_how_to_state("data_license")
    )
}
