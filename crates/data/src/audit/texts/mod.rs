//! Checks of texts.

mod characters;
mod lengths;
mod near;
mod phrases;
#[cfg(test)]
mod tests;

use super::{AuditedData, Finding, Severity};
use crate::Inputs;
use crate::texts::Texts;

pub use characters::{control, encodings};
pub use lengths::{Distribution, TextLengths};
pub use near::near;
pub(super) use phrases::phrases;
pub use phrases::{LeakingPhrase, leaking};

/// The texts of the data, if its examples are texts.
fn texts<'a>(audited: &'a AuditedData) -> Option<&'a Texts> {
    audited.dataset.texts.as_ref().filter(|_| audited.dataset.is_text())
}

/// Texts without a token, which a model cannot tell apart.
pub fn empty(audited: &AuditedData) -> Vec<Finding> {
    let (Inputs::Floats(ids), true) = (&audited.dataset.inputs, audited.dataset.is_text()) else {
        return Vec::new();
    };
    let width = audited.dataset.shape.features() as usize;
    let rows = ids.chunks_exact(width).enumerate().filter(|(_, ids)| ids.iter().all(|id| *id == 0.));
    let examples: Vec<_> = rows.map(|(row, _)| audited.flag(row, "no words", true)).collect();
    if examples.is_empty() {
        return Vec::new();
    }
    vec![Finding {
        check: "empty-texts",
        severity: Severity::Warning,
        summary: format!("{} text(s) without words", examples.len()),
        advice: "exclude them",
        examples,
    }]
}
