//! Checks of metadata that was read from a file: its parts must fit together.

use std::cmp::Ordering;

use super::Metadata;
use crate::data::{InputShape, ValueRange};
use crate::model::preprocessing::Preprocessing;
use crate::model::{Outputs, ValueInterval};

impl Metadata {
    /// Checks the metadata for consistency.
    pub(super) fn check(&self) -> Result<(), String> {
        let InputShape(sizes) = &self.input.shape;
        let features = sizes.iter().try_fold(1i64, |features, size| features.checked_mul(*size));
        let Some(features) = features.filter(|_| !sizes.is_empty() && sizes.iter().all(|size| *size > 0))
        else {
            return Err(format!("the input shape is {sizes:?}"));
        };
        if self.classes.is_empty() {
            return Err("it has no classes".to_string());
        }
        self.check_outputs()?;
        if let Some(table) = &self.input.table {
            if table.features() as i64 != features {
                return Err("the number of features of the table does not match the input shape".to_string());
            }
            if table.header.as_ref().is_some_and(|header| header.len() != table.width) {
                return Err("the header of the table has a different number of columns".to_string());
            }
            let mut positions = table.columns.iter().map(|column| column.position);
            let label = table.label.as_ref().map(|label| label.position);
            let mut several = table.label_columns.iter().map(|label| label.position);
            if positions.any(|position| position >= table.width)
                || label >= Some(table.width)
                || several.any(|position| position >= table.width)
            {
                return Err(format!(
                    "a column position is out of range for a table of {} columns",
                    table.width
                ));
            }
        }
        let Preprocessing { offset, scale, fill, .. } = &self.preprocessing;
        let fits = |values: &[f32]| {
            [1, sizes[0], features].contains(&(values.len() as i64)) && values.len() == offset.len()
        };
        if !fits(offset) || !fits(scale) || fill.as_ref().is_some_and(|fill| fill.len() as i64 != features) {
            return Err("the sizes of the preprocessing values do not match the input shape".to_string());
        }
        let quantiles = self.preprocessing.quantiles.as_ref();
        if quantiles.is_some_and(|maps| maps.features() as i64 != features || !maps.is_valid()) {
            return Err("the quantiles of the preprocessing are not increasing, or not those of the input"
                .to_string());
        }
        if self.preprocessing.missing.iter().any(|feature| *feature as i64 >= features) {
            return Err("an indicator of missing values belongs to no feature".to_string());
        }
        let is_share = |share: f64| (0. ..=1.).contains(&share);
        if self.conformal.is_some_and(|sets| !is_share(sets.threshold) || !is_share(sets.coverage)) {
            return Err("coverage or threshold of the prediction sets are not from 0 to 1".to_string());
        }
        if self.ood.is_some_and(|ood| !is_share(ood.share)) {
            return Err("the share of inputs flagged as out of distribution is not from 0 to 1".to_string());
        }
        if self.drift.as_ref().is_some_and(|drift| !drift.is_valid(features as usize)) {
            return Err("the histograms of the training data do not match the input".to_string());
        }
        match self.input.value_range {
            Some(ValueRange { min, max }) if min.partial_cmp(&max) != Some(Ordering::Less) => {
                Err(format!("the input value range is {min} to {max}"))
            }
            _ => Ok(()),
        }
    }

    fn check_outputs(&self) -> Result<(), String> {
        let is_share = |share: f64| (0. ..=1.).contains(&share);
        match &self.outputs {
            Outputs::Classification | Outputs::Ranking => Ok(()),
            Outputs::Multilabel { thresholds }
                if thresholds.len() == self.classes.len() && thresholds.iter().copied().all(is_share) =>
            {
                Ok(())
            }
            Outputs::Multilabel { .. } => {
                Err("it does not have a threshold from 0 to 1 for each label".to_string())
            }
            Outputs::Regression { offset, scale, interval } => {
                let is_valid = |interval: &ValueInterval| {
                    is_share(interval.coverage)
                        && interval.half_width >= 0.
                        && interval.half_width.is_finite()
                };
                let is_scale = *scale > 0. && scale.is_finite() && offset.is_finite();
                match self.classes.len() == 1 && is_scale && interval.as_ref().is_none_or(is_valid) {
                    true => Ok(()),
                    false => Err("its scale or interval of the predicted number is invalid".to_string()),
                }
            }
        }
    }
}
