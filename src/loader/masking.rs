//! Random masking of categories in training, so that the model learns to handle unknown categories.

use std::ops::Range;

use rand::RngExt;
use tch::Tensor;

use crate::data::TableLayout;
use crate::data::column::ColumnKind;
use crate::data::random::{Purpose, epoch_stream, stream};
use crate::model::preprocessing::Preprocessing;

/// Replaces categories in preprocessed rows (N, features) by the unknown category.
///
/// ```
/// use cresset::data::column::{Column, ColumnKind, TableLayout};
/// use cresset::data::InputShape;
/// use cresset::loader::masking::CategoryMasking;
/// use cresset::model::preprocessing::{Preprocessing, PreprocessingKind};
/// use tch::{Kind, Tensor};
///
/// // A column with two categories, encoded as two features.
/// let kind = ColumnKind::Category { categories: vec!["blue".into(), "red".into()], unknown: true };
/// let column = Column { name: "color".into(), position: 0, kind, notation: Default::default() };
/// let layout = TableLayout { columns: vec![column], width: 2, ..TableLayout::default() };
/// let preprocessing = Preprocessing {
///     kind: PreprocessingKind::Standardize, offset: vec![0.; 2], scale: vec![1.; 2], fill: None,
///     quantiles: None, missing: Vec::new(), shape: InputShape(vec![2]),
/// };
/// let masking = CategoryMasking::new(Some(&layout), &preprocessing, 0.5).unwrap();
/// let rows = Tensor::from_slice(&[0f32, 1.]).repeat([100, 1]);
/// let masked = masking.apply(&rows, 0, 1, 0).sum(Kind::Float).double_value(&[]);
/// assert!(masked > 30. && masked < 70.);
/// ```
#[derive(Debug, Clone)]
pub struct CategoryMasking {
    share: f64,
    /// The features of each categorical column: index of the first one, and count.
    columns: Vec<(usize, usize)>,
    /// The preprocessed features of unknown categories, which are zeros before preprocessing, or the index -1.
    unknown: Vec<f32>,
}

impl CategoryMasking {
    /// Masks this share of the categories. None if there is nothing to mask.
    pub fn new(layout: Option<&TableLayout>, preprocessing: &Preprocessing, share: f64) -> Option<Self> {
        let mut columns = Vec::new();
        let mut unknown = Vec::new();
        for column in &layout?.columns {
            let (first, count) = (unknown.len(), column.features());
            let masked = match column.kind {
                ColumnKind::Category { unknown: true, .. } => Some(0.),
                ColumnKind::Code { unknown: true, .. } | ColumnKind::Hash { .. } => Some(-1.),
                _ => None,
            };
            columns.extend(masked.map(|_| (first, count)));
            unknown.resize(first + count, masked.unwrap_or(0.));
        }
        if columns.is_empty() || share == 0. {
            return None;
        }
        let unknown = preprocessing.apply(&Tensor::from_slice::<f32>(&unknown).unsqueeze(0));
        let unknown = Vec::try_from(unknown.contiguous().view(-1)).expect("it is a vector on the CPU");
        Some(CategoryMasking { share, columns, unknown })
    }

    /// Masks categories at random in rows that start at position `first` of an epoch. The random numbers of a row depend on
    /// its position alone, so the result does not depend on the number of processes.
    pub fn apply(&self, rows: &Tensor, seed: u64, epoch: u32, first: usize) -> Tensor {
        let (count, width) = (rows.size()[0] as usize, self.unknown.len());
        let mut hidden = vec![false; count * width];
        self.each_hidden(count, seed, epoch, first, |row, columns| {
            hidden[row * width..][columns].fill(true);
        });
        let hidden = Tensor::from_slice(&hidden).view([count as i64, width as i64]).to_device(rows.device());
        let unknown = Tensor::from_slice(&self.unknown).unsqueeze(0).to_device(rows.device());
        unknown.where_self(&hidden, rows)
    }

    /// Does the same as [`CategoryMasking::apply`] to the values of rows, one after the other.
    pub(super) fn apply_to_values(&self, rows: &mut [f32], seed: u64, epoch: u32, first: usize) {
        let width = self.unknown.len();
        self.each_hidden(rows.len() / width, seed, epoch, first, |row, columns| {
            rows[row * width..][columns.clone()].copy_from_slice(&self.unknown[columns]);
        });
    }

    /// Calls `hide` with each row and the features of a category of it that is hidden.
    fn each_hidden(
        &self,
        rows: usize,
        seed: u64,
        epoch: u32,
        first: usize,
        mut hide: impl FnMut(usize, Range<usize>),
    ) {
        for row in 0..rows {
            let mut generator = stream(seed, Purpose::Mask, epoch_stream(epoch, first + row));
            for (start, length) in &self.columns {
                if generator.random::<f64>() < self.share {
                    hide(row, *start..start + length);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::InputShape;
    use crate::data::column::Column;
    use crate::model::preprocessing::PreprocessingKind;

    fn masking(share: f64) -> Option<CategoryMasking> {
        let categories = |texts: &[&str]| ColumnKind::Category {
            categories: texts.iter().map(|text| text.to_string()).collect(),
            unknown: true,
        };
        let kinds = [categories(&["a", "b"]), ColumnKind::Number, categories(&["u", "v", "w"])];
        let column =
            |(position, kind)| Column { name: String::new(), position, kind, notation: Default::default() };
        let columns = kinds.into_iter().enumerate().map(column).collect();
        let layout = TableLayout { columns, width: 4, ..TableLayout::default() };
        let kind = PreprocessingKind::Standardize;
        let (offset, scale) = (vec![1.; 6], vec![0.5; 6]);
        let preprocessing = Preprocessing {
            kind,
            offset,
            scale,
            fill: None,
            quantiles: None,
            missing: Vec::new(),
            shape: InputShape(vec![6]),
        };
        CategoryMasking::new(Some(&layout), &preprocessing, share)
    }

    fn values(rows: &Tensor) -> Vec<f32> {
        Vec::try_from(rows.contiguous().view(-1)).unwrap()
    }

    #[test]
    fn whole_columns_become_zeros_before_preprocessing_and_numbers_stay() {
        let rows = Tensor::from_slice(&[7f32; 6000]).view([1000, 6]);
        let found = values(&masking(0.2).unwrap().apply(&rows, 3, 2, 0));
        let mut counts = [0, 0];
        for row in found.chunks(6) {
            assert!(row[2] == 7. && row[0] == row[1] && row[3] == row[4] && row[4] == row[5], "{row:?}");
            assert!([row[0], row[3]].iter().all(|value| [7., -2.].contains(value)), "{row:?}");
            counts[0] += usize::from(row[0] == -2.);
            counts[1] += usize::from(row[3] == -2.);
        }
        assert!(counts.iter().all(|count| (140..260).contains(count)), "{counts:?}");
        assert!(masking(0.).is_none());
    }

    #[test]
    fn masking_depends_on_seed_epoch_and_position_only() {
        let masking = masking(0.3).unwrap();
        let rows = Tensor::from_slice(&[7f32; 300]).view([50, 6]);
        let all = values(&masking.apply(&rows, 3, 2, 0));
        let parts = [(0, 20), (20, 30)].map(|(first, length)| {
            values(&masking.apply(&rows.narrow(0, first, length), 3, 2, first as usize))
        });
        assert_eq!(all, parts.concat());
        let mut plain = vec![7.; 300];
        masking.apply_to_values(&mut plain[..120], 3, 2, 0);
        masking.apply_to_values(&mut plain[120..], 3, 2, 20);
        assert_eq!(all, plain);
        assert_ne!(all, values(&masking.apply(&rows, 3, 1, 0)));
        assert_ne!(all, values(&masking.apply(&rows, 4, 2, 0)));
    }
}
