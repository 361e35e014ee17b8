//! Preprocessing of rows of a table in one pass over their values, without tensors of what is between.

use super::{Preprocessing, PreprocessingKind};

/// The preprocessing of rows with an offset and a scale for each feature.
#[derive(Debug, Clone)]
pub(crate) struct RowPreprocessing {
    offset: Vec<f32>,
    scale: Vec<f32>,
    fill: Option<Vec<f32>>,
    /// The features with an indicator.
    missing: Vec<usize>,
}

impl RowPreprocessing {
    /// `None` for quantiles, texts and images.
    pub fn of(preprocessing: &Preprocessing) -> Option<Self> {
        let Preprocessing { kind, offset, scale, fill, quantiles, missing, shape } = preprocessing;
        let is_affine = *kind == PreprocessingKind::Standardize && quantiles.is_none();
        let is_table = shape.0.len() == 1
            && [offset, scale].iter().all(|values| values.len() as i64 == shape.features());
        (is_affine && is_table).then(|| RowPreprocessing {
            offset: offset.clone(),
            scale: scale.clone(),
            fill: fill.clone(),
            missing: missing.clone(),
        })
    }

    /// The result of [`Preprocessing::apply`] for rows, one after the other, to the bit.
    pub fn apply(&self, raw: &[f32]) -> Vec<f32> {
        let mut values = Vec::with_capacity(raw.len() / self.offset.len() * self.width());
        for row in raw.chunks_exact(self.offset.len()) {
            let affine = self.offset.iter().zip(&self.scale);
            match &self.fill {
                Some(fill) => {
                    values.extend(row.iter().zip(fill).zip(affine).map(|((value, fill), (offset, scale))| {
                        (if value.is_nan() { fill } else { value } - offset) / scale
                    }))
                }
                None => {
                    values.extend(
                        row.iter().zip(affine).map(|(value, (offset, scale))| (value - offset) / scale),
                    );
                }
            }
            values.extend(self.missing.iter().map(|feature| f32::from(u8::from(row[*feature].is_nan()))));
        }
        values
    }

    /// The values of a preprocessed row.
    pub fn width(&self) -> usize {
        self.offset.len() + self.missing.len()
    }
}

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;
    use crate::data::InputShape;
    use crate::model::preprocessing::Quantiles;

    #[test]
    fn rows_have_the_bits_of_tensors() {
        let preprocessing = Preprocessing {
            kind: PreprocessingKind::Standardize,
            offset: vec![0.1, 3., 0.],
            scale: vec![0.3, 7., 1.],
            fill: Some(vec![0.2, -5., -1.]),
            quantiles: None,
            missing: vec![1],
            shape: InputShape(vec![3]),
        };
        let raw = [0.7, f32::NAN, 16_777_215., -1e30, 2., f32::NAN, f32::NAN, -0., 5.];
        for fill in [preprocessing.fill.clone(), None] {
            let preprocessing = Preprocessing { fill, ..preprocessing.clone() };
            let rows = RowPreprocessing::of(&preprocessing).unwrap();
            let expected = preprocessing.apply(&Tensor::from_slice(&raw).view([3, 3]));
            let expected = Vec::<f32>::try_from(expected.view(-1)).unwrap();
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&rows.apply(&raw)), bits(&expected));
            assert_eq!(rows.width(), 4);
        }
        let quantiles = Some(Quantiles::fit(&Tensor::from_slice(&raw[..2]).view([2, 1]), &[]));
        assert!(RowPreprocessing::of(&Preprocessing { quantiles, ..preprocessing }).is_none());
    }
}
