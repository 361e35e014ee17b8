//! Checks the result of training: divergence, and the majority-class baseline.

use std::cmp::Reverse;

use crate::error::quoted;
use crate::evaluate::regression::ErrorSums;
use crate::evaluate::{Evaluation, Sums};
use crate::options::Config;
use crate::train::EpochRecord;

/// Factor over the loss of uniform predictions or of the first epoch that counts as divergence.
const EXPLOSION: f64 = 2.;

/// A warning with advice if training diverged or the model is not better than the majority-class baseline.
pub(super) fn warning(
    config: &Config,
    records: &[EpochRecord],
    validation: &Evaluation,
    classes: &[String],
) -> Option<String> {
    let chance = match &validation.sums {
        Sums::Classes(_) => (classes.len() as f64).ln(),
        // Of undecided labels, and of the mean of the training values.
        Sums::Labels(_) => 2f64.ln(),
        Sums::Values(_) => 1.,
        Sums::Ranking(sums) => (sums.items() as f64).ln(),
    };
    let advice = format!("try a lower --lr (it was {}), or let `cresset lr-find` suggest one", config.lr);
    if validation.loss > EXPLOSION * chance {
        return Some(format!(
            "training diverged: the validation loss of the best epoch is {:.4}, and {} give {chance:.4}; {advice}",
            validation.loss,
            match &validation.sums {
                Sums::Classes(_) => format!("uniform predictions over {} classes", classes.len()),
                Sums::Labels(_) => "undecided predictions".to_string(),
                Sums::Values(_) => "predictions of the mean".to_string(),
                Sums::Ranking(sums) => format!("equal scores of all {} items", sums.items()),
            }
        ));
    }
    if let (Some(first), Some(last)) = (records.first(), records.last())
        && last.train_loss > EXPLOSION * first.train_loss.max(chance)
    {
        return Some(format!(
            "training diverged: the training loss is {:.4} in epoch {}, after {:.4} in epoch {}; {advice}",
            last.train_loss, last.epoch, first.train_loss, first.epoch
        ));
    }
    if let Some(r2) = validation.errors().and_then(ErrorSums::r2)
        && r2 <= 0.
    {
        return Some(format!(
            "the validation R², {r2:.4}, is not above that of the mean of the values (0). More --epochs, another --lr (`cresset \
             lr-find` suggests one) or another --model may help"
        ));
    }
    let confusion = validation.confusion()?;
    let majority = (0..classes.len()).max_by_key(|class| (confusion.support(*class), Reverse(*class)))?;
    let baseline = confusion.support(majority) as f64 / confusion.total() as f64;
    let accuracy = confusion.accuracy();
    (accuracy <= baseline && accuracy < 1.).then(|| {
        format!(
            "the validation accuracy, {:.2} %, is not above the majority-class baseline (always {}: {:.2} %). \
             More --epochs, another --lr (`cresset lr-find` suggests one) or another --model may help",
            100. * accuracy,
            quoted(&classes[majority]),
            100. * baseline
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::ConfusionMatrix;

    fn said(loss: f64, counts: [[u64; 2]; 2], train_losses: &[f64]) -> Option<String> {
        let confusion = ConfusionMatrix::new(2, counts.as_flattened().to_vec());
        let validation = Evaluation::of_classes(loss, confusion);
        let record = |(index, train_loss): (usize, &f64)| EpochRecord {
            epoch: index as u32 + 1,
            train_loss: *train_loss,
            train_accuracy: 0.5,
            validation_loss: loss,
            validation_accuracy: 0.5,
            lr: 1.,
            seconds: 1.,
            score: None,
        };
        let records: Vec<_> = train_losses.iter().enumerate().map(record).collect();
        warning(&Config::default(), &records, &validation, &["no".into(), "yes".into()])
    }

    #[test]
    fn a_useless_result_gives_a_warning() {
        assert_eq!(said(0.3, [[8, 1], [1, 8]], &[0.7, 0.3]), None);
        // All examples are of one class and correct.
        assert_eq!(said(0.3, [[9, 0], [0, 0]], &[0.7, 0.3]), None);
        let exploded = said(5e7, [[8, 1], [1, 8]], &[0.7, 0.3]).unwrap();
        assert!(exploded.contains("the validation loss of the best epoch is 50000000.0000"), "{exploded}");
        assert!(exploded.contains("lower --lr") && exploded.contains("lr-find"), "{exploded}");
        let later = said(0.3, [[8, 1], [1, 8]], &[0.7, 0.3, 1.5]).unwrap();
        assert!(later.contains("the training loss is 1.5000 in epoch 3, after 0.7000 in epoch 1"), "{later}");
        let constant = said(0.6, [[12, 0], [6, 0]], &[0.7, 0.7]).unwrap();
        assert!(constant.contains("66.67 %") && constant.contains("always `no`"), "{constant}");
        assert_eq!(said(0.6, [[12, 0], [5, 1]], &[0.7, 0.6]), None);
    }
}
