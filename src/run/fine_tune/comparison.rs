//! A model before and after it learned from corrections, on the old held-out rows and on the corrections.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result, guard};
use crate::evaluate::McNemar;
use crate::evaluate::numbers::thousands;
use crate::loader::{Batch, HeldOutFeed};
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::Examples;
use crate::run::RunFolder;

/// A model before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// On the rows that the old run held out.
    pub held_out: Pair,
    /// On the corrections that were kept from the training; none if there are too few.
    pub kept: Option<Pair>,
    /// On the corrections that it was trained on.
    pub trained: Pair,
}

/// Both models on some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// A row each: before.
    pub before: Vec<Judged>,
    /// A row each: after.
    pub after: Vec<Judged>,
    /// A row each: the control, if there is one.
    pub control: Option<Vec<Judged>>,
}

/// What a model makes of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Whether it takes it for its class.
    pub is_right: bool,
    /// The cross-entropy, in nats.
    pub loss: f64,
}

impl Pair {
    /// The control and the model that learned from corrections.
    pub fn beside_control(&self) -> Option<Pair> {
        let before = self.control.clone()?;
        Some(Pair { before, after: self.after.clone(), control: None })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.before.len()
    }

    /// How many rows each got right.
    pub fn right(&self) -> (usize, usize) {
        let count = |rows: &[Judged]| rows.iter().filter(|row| row.is_right).count();
        (count(&self.before), count(&self.after))
    }

    /// The mean loss of each.
    pub fn loss(&self) -> (f64, f64) {
        let mean = |rows: &[Judged]| rows.iter().map(|row| row.loss).sum::<f64>() / rows.len().max(1) as f64;
        (mean(&self.before), mean(&self.after))
    }

    /// Whether a difference of what they get right is chance.
    pub fn test(&self) -> McNemar {
        McNemar::new(
            self.before.iter().zip(&self.after).map(|(before, after)| (before.is_right, after.is_right)),
        )
    }

    /// How much the mean loss rose, and the standard error of that, over the rows.
    pub fn loss_rise(&self) -> (f64, f64) {
        let rises = self.before.iter().zip(&self.after).map(|(before, after)| after.loss - before.loss);
        let rises: Vec<f64> = rises.collect();
        let count = rises.len() as f64;
        let mean = rises.iter().sum::<f64>() / count;
        let squares = rises.iter().map(|rise| (rise - mean).powi(2)).sum::<f64>();
        (mean, (squares / (count - 1.).max(1.) / count).sqrt())
    }
}

/// Measures the model that `before` holds and the one of the run `after`, which was fine-tuned; and its control, if there is one.
///
/// # Errors
/// Models that do not go together, and data that is gone or has changed since.
pub fn compare(
    before: &Path,
    after: &RunFolder,
    control: Option<&RunFolder>,
    device: Device,
) -> Result<Comparison> {
    guard(|| {
        let config = Config::read(&after.config_file())?;
        let examples = Examples::again(&config, after)?;
        let corrections = examples.corrections.as_ref();
        let corrections = corrections.ok_or_else(|| {
            Error::artifact(
                after.path(),
                "this run was trained on no corrections, so there is nothing to compare",
            )
        })?;
        let old = Classifier::load_on(before, device)?;
        let new = Classifier::load_on(&after.model(), device)?;
        let control = control.map(|run| Classifier::load_on(&run.model(), device)).transpose()?;
        if old.metadata().classes != new.metadata().classes {
            return Err(Error::artifact(
                before,
                "the model has other classes than the one that was made of it",
            ));
        }
        let pair = |rows: &[i64]| {
            let feed = examples.raw(rows, &config, old.device());
            let control = control.as_ref().map(|control| judged(control, &*feed)).transpose()?;
            Ok::<_, Error>(Pair { before: judged(&old, &*feed)?, after: judged(&new, &*feed)?, control })
        };
        Ok(Comparison {
            held_out: pair(&examples.split.held_out)?,
            kept: (!corrections.kept.is_empty()).then(|| pair(&corrections.kept)).transpose()?,
            trained: pair(&corrections.trained)?,
        })
    })
}

fn judged(classifier: &Classifier, feed: &dyn HeldOutFeed) -> Result<Vec<Judged>> {
    let mut rows = Vec::with_capacity(feed.rows());
    for batch in feed.in_order() {
        let Batch { inputs, labels, .. } = batch?;
        let logits = classifier.logits(&inputs)?.to_device(Device::Cpu);
        let labels = labels.to_device(Device::Cpu);
        let right = Vec::<bool>::try_from(&logits.argmax(-1, false).eq_tensor(&labels))?;
        let logarithms: Tensor = logits.log_softmax(-1, Kind::Double);
        let losses = Vec::<f64>::try_from(-logarithms.gather(1, &labels.unsqueeze(1), false).squeeze_dim(1))?;
        rows.extend(right.into_iter().zip(losses).map(|(is_right, loss)| Judged { is_right, loss }));
    }
    Ok(rows)
}

impl Comparison {
    /// The corrections that the new model is judged by: the kept ones, or else those that it was trained on.
    pub fn feedback(&self) -> &Pair {
        self.kept.as_ref().unwrap_or(&self.trained)
    }

    /// As a table.
    pub fn to_text(&self) -> String {
        let head = format!("{:<30} {:>7}  {:>17}  {:>17}\n", "", "rows", "accuracy", "loss");
        let pairs = [
            ("old held-out rows", Some(&self.held_out)),
            ("corrections, kept aside", self.kept.as_ref()),
            ("corrections, seen in training", Some(&self.trained)),
        ];
        let own = pairs.iter().filter_map(|(what, pair)| Some(line(what, (*pair)?)));
        let text = head + &own.collect::<String>();
        let beside = pairs.iter().filter_map(|(what, pair)| Some(line(what, &(*pair)?.beside_control()?)));
        let beside: String = beside.collect();
        if beside.is_empty() {
            return text;
        }
        format!("{text}\ncontrol, trained as long without the corrections → after\n{beside}")
    }
}

fn line(what: &str, pair: &Pair) -> String {
    let rows = pair.rows();
    let ((right_before, right_after), (loss_before, loss_after)) = (pair.right(), pair.loss());
    let share = |right: usize| format!("{:.2}", 100. * right as f64 / rows.max(1) as f64);
    let accuracy = format!("{} → {} %", share(right_before), share(right_after));
    let loss = format!("{loss_before:.4} → {loss_after:.4}");
    format!("{what:<30} {:>7}  {accuracy:>17}  {loss:>17}\n", thousands(rows))
}
