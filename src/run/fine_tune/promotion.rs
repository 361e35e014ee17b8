//! Decides whether a fine-tuned model replaces the old one.

use std::fs;
use std::path::Path;

use super::comparison::{Comparison, PairedResults};
use crate::data::atomic;
use crate::data::sha256;
use crate::error::{Error, Result};
use crate::run::RunFolder;

/// Copy of the replaced model in its run folder.
pub const PREVIOUS: &str = "model.previous.pt";

/// Relative increase of the mean loss that counts as higher …
const MAX_LOSS_RISE: f64 = 0.1;

/// … if it also exceeds this number of standard errors.
const MAX_STANDARD_ERRORS: f64 = 2.;

/// A reason not to promote a model.
///
/// ```
/// use cresset::run::fine_tune::{Comparison, ExampleResult, Objection, PairedResults, objections};
///
/// let results = |before, after| PairedResults {
///     before: vec![ExampleResult { is_right: before, loss: 0.5 }; 40],
///     after: vec![ExampleResult { is_right: after, loss: 0.5 }; 40],
///     control: None,
/// };
/// // Better on the corrections, but worse on the validation set.
/// let comparison =
///     Comparison { validation: results(true, false), kept: None, trained: results(false, true) };
/// assert_eq!(objections(&comparison), [Objection::LessAccurate]);
/// assert!(Objection::LessAccurate.text().contains("accura"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// Lower accuracy on the validation set, significant by McNemar's test at 5 %.
    LessAccurate,
    /// Mean loss on the validation set higher by more than 10 % and two standard errors.
    HigherLoss,
    /// Not more accurate on the corrections than the old model, and with equal accuracy no lower loss.
    NoBetterOnCorrections,
    /// Significantly lower accuracy on the validation set than the control: the corrections are harmful.
    LessAccurateThanControl,
    /// No better on the corrections than the control: the improvement comes from the additional epochs.
    NoBetterThanControl,
}

impl Objection {
    /// The reason as text.
    pub fn text(self) -> &'static str {
        match self {
            Objection::LessAccurate => {
                "its validation accuracy is significantly lower (McNemar's test at 5 %)"
            }
            Objection::HigherLoss => {
                "its validation loss is higher by more than 10 % and two standard errors"
            }
            Objection::NoBetterOnCorrections => "it is no better on the corrections",
            Objection::LessAccurateThanControl => {
                "its validation accuracy is significantly lower than that of the control, the old model trained equally long without \
                 corrections (McNemar's test at 5 %)"
            }
            Objection::NoBetterThanControl => {
                "it is no better on the corrections than the control, the old model trained equally long without them"
            }
        }
    }
}

/// All reasons against promotion.
pub fn objections(comparison: &Comparison) -> Vec<Objection> {
    let validation = &comparison.validation;
    let (rise, error) = validation.loss_rise();
    let against_control = validation.against_control().zip(comparison.feedback().against_control());
    let found = [
        (is_less_accurate(validation), Objection::LessAccurate),
        // NaN counts as higher.
        (
            !(rise <= MAX_LOSS_RISE * validation.loss().0 || rise <= MAX_STANDARD_ERRORS * error),
            Objection::HigherLoss,
        ),
        (!is_better(comparison.feedback()), Objection::NoBetterOnCorrections),
    ];
    let of_control = against_control.into_iter().flat_map(|(validation, feedback)| {
        [
            (is_less_accurate(&validation), Objection::LessAccurateThanControl),
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

fn is_less_accurate(pair: &PairedResults) -> bool {
    let (right_before, right_after) = pair.correct();
    right_after < right_before && pair.test().is_significant()
}

fn is_better(pair: &PairedResults) -> bool {
    let ((right_before, right_after), (loss_before, loss_after)) = (pair.correct(), pair.loss());
    right_after > right_before || right_after == right_before && loss_after < loss_before
}

/// A completed promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// SHA-256 of the replaced model.
    pub previous_sha256: String,
    /// SHA-256 of the new model.
    pub sha256: String,
}

/// Replaces the model of `run` with the model of `new`, and keeps a copy ([`PREVIOUS`]). The replacement is atomic: a reader
/// sees either model in full, even after a crash.
///
/// ```
/// use cresset::prelude::*;
/// use cresset::run::RunFolder;
/// use cresset::run::fine_tune::{PREVIOUS, promote};
///
/// # let folder = tempfile::tempdir().unwrap();
/// let train = |name: &str, epochs: u32| {
///     let options = Config { epochs, ..Config::default() };
///     Trainer::new("iris").options(options).out(folder.path().join(name)).fit()
/// };
/// let (old, new) = (train("old", 2)?, train("new", 4)?);
/// let promotion = promote(&RunFolder::open(old.folder())?, &RunFolder::open(new.folder())?)?;
/// assert_ne!(promotion.sha256, promotion.previous_sha256);
/// assert!(old.folder().join(PREVIOUS).is_file());
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// If a process trains `run`, or a file cannot be read or written; the old model then stays in place.
pub fn promote(run: &RunFolder, new: &RunFolder) -> Result<Promotion> {
    let _writer = run.lock()?;
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
    use super::super::comparison::ExampleResult;
    use super::*;

    /// A pair with these numbers of correct predictions and losses; the second model errs on different examples.
    fn pair(rows: usize, right: (usize, usize), loss: (f64, f64)) -> PairedResults {
        let result = |is_right, loss| ExampleResult { is_right, loss };
        PairedResults {
            before: (0..rows).map(|row| result(row < right.0, loss.0)).collect(),
            after: (0..rows).map(|row| result(row >= rows - right.1, loss.1)).collect(),
            control: None,
        }
    }

    fn better() -> PairedResults {
        pair(10, (2, 9), (3., 0.2))
    }

    fn of(validation: PairedResults, trained: PairedResults) -> Vec<Objection> {
        objections(&Comparison { validation, kept: None, trained })
    }

    #[test]
    fn a_model_that_is_better_on_corrections_and_as_good_elsewhere_is_promoted() {
        assert_eq!(of(pair(359, (340, 340), (0.2, 0.2)), better()), []);
        // A difference of three examples is not significant.
        assert_eq!(of(pair(359, (340, 337), (0.2, 0.21)), better()), []);
    }

    #[test]
    fn a_worse_model_is_rejected_with_the_reason() {
        assert_eq!(of(pair(359, (340, 200), (0.2, 0.2)), better()), [Objection::LessAccurate]);
        assert_eq!(of(pair(359, (340, 340), (0.2, 0.3)), better()), [Objection::HigherLoss]);
        assert_eq!(of(pair(359, (340, 340), (0.2, f64::NAN)), better()), [Objection::HigherLoss]);
        let none = [Objection::NoBetterOnCorrections];
        assert_eq!(of(pair(359, (340, 340), (0.2, 0.2)), pair(10, (5, 4), (1., 0.5))), none);
        assert_eq!(of(pair(359, (340, 340), (0.2, 0.2)), pair(10, (5, 5), (1., 1.5))), none);
    }

    #[test]
    fn a_gain_of_the_control_is_not_attributed_to_the_corrections() {
        let beside = |control: PairedResults, pair: PairedResults| PairedResults {
            control: Some(control.before),
            ..pair
        };
        let validation = pair(359, (340, 350), (0.2, 0.1));
        let of = |control: PairedResults, corrected: PairedResults| {
            of(beside(control, validation.clone()), beside(corrected, pair(10, (2, 6), (3., 0.5))))
        };
        assert_eq!(of(pair(359, (350, 0), (0.1, 0.)), pair(10, (2, 0), (3., 0.))), []);
        assert_eq!(
            of(pair(359, (350, 0), (0.1, 0.)), pair(10, (6, 0), (0.4, 0.))),
            [Objection::NoBetterThanControl]
        );
        let harmed = beside(pair(359, (359, 0), (0.1, 0.)), pair(359, (340, 340), (0.2, 0.2)));
        let corrected = beside(pair(10, (2, 0), (3., 0.)), better());
        assert_eq!(
            objections(&Comparison { validation: harmed, kept: None, trained: corrected }),
            [Objection::LessAccurateThanControl]
        );
    }

    #[test]
    fn corrections_in_the_validation_set_decide_if_there_are_any() {
        let (validation, trained) = (pair(359, (340, 340), (0.2, 0.2)), better());
        let kept = Some(pair(5, (3, 1), (0.5, 2.)));
        assert_eq!(objections(&Comparison { validation, kept, trained }), [Objection::NoBetterOnCorrections]);
    }
}
