//! Whether a new model takes the place of the old one, and how.

use std::fs;
use std::path::Path;

use super::comparison::{Comparison, Pair};
use crate::data::atomic;
use crate::data::sha256;
use crate::error::{Error, Result};
use crate::run::RunFolder;

/// The copy of the model that was replaced, in the folder of its run.
pub const PREVIOUS: &str = "model.previous.pt";

/// A mean loss is clearly higher if it rose by more than this share of itself …
const RISE: f64 = 0.1;

/// … and by more than so many standard errors of the rise.
const ERRORS: f64 = 2.;

/// Why a new model does not take the place of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// It gets fewer of the old held-out rows right, and that is not chance (McNemar's test at 5 %).
    LessAccurate,
    /// Its mean loss on the old held-out rows is higher by more than a tenth, and by more than two standard errors.
    HigherLoss,
    /// It gets no more of the corrections right than the old one and, where both get as many right, is no surer of them.
    NoBetterOnCorrections,
    /// It gets fewer of the old held-out rows right than the control, and that is not chance: the corrections harm it.
    LessAccurateThanControl,
    /// It is no better on the corrections than the control: the additional epochs gained what was gained.
    NoBetterThanControl,
}

impl Objection {
    /// As a sentence.
    pub fn text(self) -> &'static str {
        match self {
            Objection::LessAccurate => {
                "it gets fewer of the old held-out rows right, and that is not chance (McNemar's test at 5 %)"
            }
            Objection::HigherLoss => {
                "its mean loss on the old held-out rows is higher by more than a tenth and two standard errors"
            }
            Objection::NoBetterOnCorrections => "it is no better on the corrections",
            Objection::LessAccurateThanControl => {
                "it gets fewer of the old held-out rows right than the old model trained as long without the corrections, and that \
                 is not chance (McNemar's test at 5 %)"
            }
            Objection::NoBetterThanControl => {
                "it is no better on the corrections than the old model trained as long without them"
            }
        }
    }
}

/// Everything that speaks against the new model.
pub fn objections(comparison: &Comparison) -> Vec<Objection> {
    let held_out = &comparison.held_out;
    let (rise, error) = held_out.loss_rise();
    let beside_control = held_out.beside_control().zip(comparison.feedback().beside_control());
    let found = [
        (is_less_accurate(held_out), Objection::LessAccurate),
        // What is no number is no small one.
        (!(rise <= RISE * held_out.loss().0 || rise <= ERRORS * error), Objection::HigherLoss),
        (!is_better(comparison.feedback()), Objection::NoBetterOnCorrections),
    ];
    let of_control = beside_control.into_iter().flat_map(|(held_out, feedback)| {
        [
            (is_less_accurate(&held_out), Objection::LessAccurateThanControl),
            (!is_better(&feedback), Objection::NoBetterThanControl),
        ]
    });
    found
        .into_iter()
        .chain(of_control)
        .filter(|(applies, _)| *applies)
        .map(|(_, objection)| objection)
        .collect()
}

fn is_less_accurate(pair: &Pair) -> bool {
    let (right_before, right_after) = pair.right();
    right_after < right_before && pair.test().is_real()
}

fn is_better(pair: &Pair) -> bool {
    let ((right_before, right_after), (loss_before, loss_after)) = (pair.right(), pair.loss());
    right_after > right_before || right_after == right_before && loss_after < loss_before
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// SHA-256 of the model that was replaced.
    pub previous_sha256: String,
    /// SHA-256 of the one in its place.
    pub sha256: String,
}

/// Puts the model of `new` in the place of the one of `run`, of which a copy is kept ([`PREVIOUS`]). Whoever opens the file
/// meanwhile, even after a crash, finds the old one or the new one, whole.
///
/// # Errors
/// A process that trains `run`, and files that cannot be read or written; the old model is then in its place.
pub fn promote(run: &RunFolder, new: &RunFolder) -> Result<Promotion> {
    let _writer = run.writer()?;
    let (old, promoted) = (read(&run.model())?, read(&new.model())?);
    atomic::write(&run.path().join(PREVIOUS), &old)?;
    atomic::write(&run.model(), &promoted)?;
    Ok(Promotion { previous_sha256: sha256(&old), sha256: sha256(&promoted) })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Error::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::super::comparison::Judged;
    use super::*;

    /// Rows of which each model gets so many right, with these losses; the second model errs on other rows than the first.
    fn pair(rows: usize, right: (usize, usize), loss: (f64, f64)) -> Pair {
        let judged = |is_right, loss| Judged { is_right, loss };
        Pair {
            before: (0..rows).map(|row| judged(row < right.0, loss.0)).collect(),
            after: (0..rows).map(|row| judged(row >= rows - right.1, loss.1)).collect(),
            control: None,
        }
    }

    fn better() -> Pair {
        pair(10, (2, 9), (3., 0.2))
    }

    fn of(held_out: Pair, trained: Pair) -> Vec<Objection> {
        objections(&Comparison { held_out, kept: None, trained })
    }

    #[test]
    fn a_model_that_is_better_on_corrections_and_as_good_elsewhere_is_taken() {
        assert_eq!(of(pair(359, (340, 340), (0.2, 0.2)), better()), []);
        // Three rows fewer may be chance.
        assert_eq!(of(pair(359, (340, 337), (0.2, 0.21)), better()), []);
    }

    #[test]
    fn what_is_worse_is_refused_with_the_reason() {
        assert_eq!(of(pair(359, (340, 200), (0.2, 0.2)), better()), [Objection::LessAccurate]);
        assert_eq!(of(pair(359, (340, 340), (0.2, 0.3)), better()), [Objection::HigherLoss]);
        assert_eq!(of(pair(359, (340, 340), (0.2, f64::NAN)), better()), [Objection::HigherLoss]);
        let none = [Objection::NoBetterOnCorrections];
        assert_eq!(of(pair(359, (340, 340), (0.2, 0.2)), pair(10, (5, 4), (1., 0.5))), none);
        assert_eq!(of(pair(359, (340, 340), (0.2, 0.2)), pair(10, (5, 5), (1., 1.5))), none);
    }

    #[test]
    fn what_the_control_gains_too_is_not_credited_to_the_corrections() {
        let beside = |control: Pair, pair: Pair| Pair { control: Some(control.before), ..pair };
        let held_out = pair(359, (340, 350), (0.2, 0.1));
        let of = |control: Pair, corrected: Pair| {
            of(beside(control, held_out.clone()), beside(corrected, pair(10, (2, 6), (3., 0.5))))
        };
        assert_eq!(of(pair(359, (350, 0), (0.1, 0.)), pair(10, (2, 0), (3., 0.))), []);
        assert_eq!(
            of(pair(359, (350, 0), (0.1, 0.)), pair(10, (6, 0), (0.4, 0.))),
            [Objection::NoBetterThanControl]
        );
        let harmed = beside(pair(359, (359, 0), (0.1, 0.)), pair(359, (340, 340), (0.2, 0.2)));
        let corrected = beside(pair(10, (2, 0), (3., 0.)), better());
        assert_eq!(
            objections(&Comparison { held_out: harmed, kept: None, trained: corrected }),
            [Objection::LessAccurateThanControl]
        );
    }

    #[test]
    fn what_was_kept_aside_has_the_word_on_corrections() {
        let (held_out, trained) = (pair(359, (340, 340), (0.2, 0.2)), better());
        let kept = Some(pair(5, (3, 1), (0.5, 2.)));
        assert_eq!(objections(&Comparison { held_out, kept, trained }), [Objection::NoBetterOnCorrections]);
    }
}
