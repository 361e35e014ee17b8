//! Quantile normalization of the numeric columns of a table.

use std::f64::consts::SQRT_2;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::data::column::FeatureGroup;
use crate::model::script::Class;

/// Maps each numeric feature to a normal distribution by its quantiles in the training rows, like scikit-learn's
/// `QuantileTransformer`, with mean 0 and standard deviation 1. Other features are unchanged. Neither outliers nor skewed
/// distributions disturb a network then.
///
/// The map of a feature is piecewise linear between fixed knots k₀ < k₁ < …: y = y₀ + Σᵢ (yᵢ₊₁ − yᵢ) · clamp((x − kᵢ) / (kᵢ₊₁ − kᵢ),
/// 0, 1). It consists of plain tensor operations, which all export formats have.
///
/// ```
/// use cresset::data::column::FeatureGroup;
/// use cresset::model::preprocessing::Quantiles;
/// use tch::Tensor;
///
/// // A number with an outlier, and an indicator.
/// let rows = Tensor::from_slice2(&[[1f32, 0.], [2., 1.], [1000., 0.]]);
/// let quantiles = Quantiles::fit(&rows, &[FeatureGroup::Number, FeatureGroup::Indicators { count: 1 }]);
/// let mapped = quantiles.apply(&rows);
/// assert!(mapped.double_value(&[1, 0]).abs() < 1e-6 && mapped.double_value(&[2, 0]) < 1.5);
/// assert_eq!(mapped.select(1, 1), rows.select(1, 1));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantiles(Vec<Knots>);

/// The map of a feature: `at[i]` to `to[i]`, linear in between and constant outside. Without knots, the identity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Knots {
    /// Raw values, strictly increasing.
    at: Vec<f32>,
    /// Normalized values, strictly increasing.
    to: Vec<f32>,
}

/// The largest number of pieces of a map. With fewer distinct values, each is a knot.
const PIECES: usize = 64;

/// Values of intermediate tensors, (rows, features, pieces), that are computed at once.
const AT_ONCE: i64 = 1 << 22;

/// The pieces of all features as tensors, float32 (features, pieces), padded with pieces without effect.
struct Pieces {
    /// The raw value at the start of a piece.
    starts: Tensor,
    /// The length of a piece in raw values, never 0.
    widths: Tensor,
    /// The difference of the normalized values at its ends; 0 for padding.
    rises: Tensor,
    /// The smallest normalized value, (features).
    lows: Tensor,
    /// 1 for an unchanged feature, otherwise 0, (features).
    passes: Tensor,
}

impl Quantiles {
    /// Fits the maps to training rows, float32 (N, features), with these groups. Missing values (NaN) are left out.
    pub fn fit(rows: &Tensor, groups: &[FeatureGroup]) -> Self {
        let mut knots = Vec::new();
        for group in groups {
            match group {
                FeatureGroup::Number => knots.push(Knots::fit(&rows.select(1, knots.len() as i64))),
                other => knots.extend((0..other.features()).map(|_| Knots::default())),
            }
        }
        Quantiles(knots)
    }

    /// The number of features.
    pub fn features(&self) -> usize {
        self.0.len()
    }

    /// Whether the knots of each feature are finite and increase, as in every fitted map.
    pub(crate) fn is_valid(&self) -> bool {
        let increases = |values: &[f32]| {
            values.iter().all(|value| value.is_finite()) && values.windows(2).all(|pair| pair[0] < pair[1])
        };
        self.0
            .iter()
            .all(|knots| knots.at.len() == knots.to.len() && increases(&knots.at) && increases(&knots.to))
    }

    /// Normalized values of raw values, both float32 (N, features).
    pub fn apply(&self, raw: &Tensor) -> Tensor {
        let numbers: Vec<i64> =
            (0..).zip(&self.0).filter(|(_, knots)| !knots.at.is_empty()).map(|(place, _)| place).collect();
        if numbers.len() == self.0.len() {
            return self.map_numbers(raw);
        }
        // The operations of an unchanged feature add zeros to it.
        let mut mapped: Tensor = raw + 0.;
        if !numbers.is_empty() {
            let only = Quantiles(self.0.iter().filter(|knots| !knots.at.is_empty()).cloned().collect());
            let numbers = Tensor::from_slice(&numbers).to_device(raw.device());
            let values = only.map_numbers(&raw.index_select(1, &numbers));
            let _ = mapped.index_copy_(1, &numbers, &values);
        }
        mapped
    }

    /// The map of all features, with the operations of all of them for each.
    fn map_numbers(&self, raw: &Tensor) -> Tensor {
        let pieces = self.pieces(raw);
        let per_row = (pieces.starts.numel() as i64).max(1);
        let parts = raw.split((AT_ONCE / per_row).max(1), 0);
        let mapped: Vec<Tensor> = parts.iter().map(|part| pieces.apply(part)).collect();
        match &mapped[..] {
            [one] => one.shallow_clone(),
            many => Tensor::cat(many, 0),
        }
    }

    /// The inverse: raw values of normalized ones, both float32 (N, features). Values beyond the outer knots become those of the
    /// knots.
    pub(crate) fn undo(&self, normalized: &Tensor) -> Tensor {
        self.inverse().apply(normalized)
    }

    fn inverse(&self) -> Quantiles {
        Quantiles(self.0.iter().map(|Knots { at, to }| Knots { at: to.clone(), to: at.clone() }).collect())
    }

    /// Adds the tensors of [`Quantiles::EXPRESSION`] to a class.
    pub(super) fn buffers(&self, class: Class) -> Class {
        let Pieces { starts, widths, rises, lows, passes } = self.pieces(&Tensor::zeros([1], CPU_FLOAT));
        class
            .buffer("starts", &starts)
            .buffer("widths", &widths)
            .buffer("rises", &rises)
            .buffer("lows", &lows)
            .buffer("passes", &passes)
    }

    /// The equivalent of [`Quantiles::apply`] for `raw` in TorchScript.
    pub(super) const EXPRESSION: &str = "torch.add(torch.add(torch.sum(torch.mul(torch.clamp(torch.div(torch.sub(\
        torch.unsqueeze(raw, -1), self.starts), self.widths), 0, 1), self.rises), [-1]), self.lows), \
        torch.mul(raw, self.passes))";

    /// The pieces on the device of `like`.
    fn pieces(&self, like: &Tensor) -> Pieces {
        let most = self.0.iter().map(|knots| knots.at.len().saturating_sub(1)).max().unwrap_or(0).max(1);
        let mut columns = [const { Vec::new() }; 3];
        for Knots { at, to } in &self.0 {
            let ends = |index: usize| index + 1 < at.len();
            let piece = |of: &dyn Fn(usize) -> f32, padding: f32| {
                (0..most).map(|index| if ends(index) { of(index) } else { padding }).collect::<Vec<f32>>()
            };
            columns[0].extend(piece(&|index| at[index], 0.));
            columns[1].extend(piece(&|index| at[index + 1] - at[index], 1.));
            columns[2].extend(piece(&|index| to[index + 1] - to[index], 0.));
        }
        let size = [self.0.len() as i64, most as i64];
        let [starts, widths, rises] =
            columns.map(|values| Tensor::from_slice(&values).view(size).to_device(like.device()));
        let of_features = |value: fn(&Knots) -> f32| {
            Tensor::from_slice(&self.0.iter().map(value).collect::<Vec<f32>>()).to_device(like.device())
        };
        Pieces {
            starts,
            widths,
            rises,
            lows: of_features(|knots| knots.to.first().copied().unwrap_or(0.)),
            passes: of_features(|knots| if knots.at.is_empty() { 1. } else { 0. }),
        }
    }
}

const CPU_FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

impl Pieces {
    /// The operations of [`Quantiles::EXPRESSION`], so that training and the exported model agree to the bit.
    fn apply(&self, raw: &Tensor) -> Tensor {
        let share = ((raw.unsqueeze(-1) - &self.starts) / &self.widths).clamp(0., 1.);
        let sums = (share * &self.rises).sum_dim_intlist([-1].as_slice(), false, Kind::Float);
        sums + &self.lows + raw * &self.passes
    }
}

impl Knots {
    /// The map of the values (N) of a feature.
    fn fit(values: &Tensor) -> Self {
        let mut values = Vec::<f32>::try_from(values.contiguous()).expect("a feature is a vector");
        values.retain(|value| !value.is_nan());
        values.sort_unstable_by(f32::total_cmp);
        let mut at = values.clone();
        at.dedup();
        if at.len() > PIECES + 1 {
            at = places(values.len()).into_iter().map(|place| values[place]).collect();
            at.dedup();
        }
        if at.is_empty() {
            // A column without any value: a constant.
            at.push(0.);
        }
        let ranks: Vec<f64> = at.iter().map(|knot| middle_rank(&values, *knot)).collect();
        let scores = Vec::<f64>::try_from((Tensor::from_slice(&ranks) * 2. - 1.).erfinv() * SQRT_2);
        let scores = scores.expect("scores are a vector");
        Knots { to: standardized(&scores, &at, &values), at }
    }

    /// The normalized value of a raw one.
    fn map(at: &[f32], to: &[f64], value: f32) -> f64 {
        let end = at.partition_point(|knot| *knot <= value);
        match end {
            0 => to[0],
            end if end == at.len() => to[end - 1],
            end => {
                let share = f64::from(value - at[end - 1]) / f64::from(at[end] - at[end - 1]);
                to[end - 1] + share * (to[end] - to[end - 1])
            }
        }
    }
}

/// The indices of the knots among this many sorted values. Their normal scores are equally spaced, because equal numbers of values
/// would leave the tails to two long pieces.
fn places(count: usize) -> Vec<usize> {
    let last = count - 1;
    let outermost = (Tensor::from(1. - 1. / count as f64).erfinv() * SQRT_2).double_value(&[]);
    let scores = Tensor::linspace(-outermost, outermost, PIECES as i64 + 1, (Kind::Double, Device::Cpu));
    let shares = (scores / SQRT_2).erf() / 2. + 0.5;
    let mut places: Vec<usize> = Vec::<f64>::try_from(shares * last as f64)
        .expect("shares are a vector")
        .into_iter()
        .map(|place| (place.round() as usize).min(last))
        .collect();
    (places[0], places[PIECES]) = (0, last);
    places
}

/// The share of the sorted values below `knot`, plus half of the share equal to it; 1/2 without values.
fn middle_rank(values: &[f32], knot: f32) -> f64 {
    let below = values.partition_point(|value| *value < knot);
    let up_to = values.partition_point(|value| *value <= knot);
    if values.is_empty() { 0.5 } else { (below + up_to) as f64 / 2. / values.len() as f64 }
}

/// The scores of the knots, shifted and scaled such that the mapped values have mean 0 and standard deviation 1.
fn standardized(scores: &[f64], at: &[f32], values: &[f32]) -> Vec<f32> {
    let mapped: Vec<f64> = values.iter().map(|value| Knots::map(at, scores, *value)).collect();
    let count = mapped.len().max(1) as f64;
    let mean = mapped.iter().sum::<f64>() / count;
    let variance = mapped.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let scale = if variance > 0. { variance.sqrt() } else { 1. };
    scores.iter().map(|score| ((score - mean) / scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(columns: &[&[f32]]) -> Tensor {
        let columns: Vec<Tensor> = columns.iter().map(|column| Tensor::from_slice(column)).collect();
        Tensor::stack(&columns, 1)
    }

    fn column(of: &Tensor, index: i64) -> Vec<f32> {
        Vec::try_from(of.select(1, index).contiguous()).unwrap()
    }

    #[test]
    fn a_skewed_column_becomes_normal() {
        tch::manual_seed(0);
        let skewed = (Tensor::randn([4000, 1], CPU_FLOAT) * 2.).exp();
        let mapped = Quantiles::fit(&skewed, &[FeatureGroup::Number]).apply(&skewed);
        let moment = |power: f64| mapped.pow_tensor_scalar(power).mean(Kind::Double).double_value(&[]);
        assert!(moment(1.).abs() < 1e-3 && (moment(2.) - 1.).abs() < 1e-3, "{} {}", moment(1.), moment(2.));
        // Skewness 0 and kurtosis 3.
        assert!(moment(3.).abs() < 0.1 && (moment(4.) - 3.).abs() < 0.3, "{} {}", moment(3.), moment(4.));
    }

    /// Ranks 1/6, 1/2, 5/6 of three values have the normal quantiles ∓0.9674 and 0.
    #[test]
    fn few_distinct_values_are_mapped_by_their_ranks() {
        let table = rows(&[&[5., 7., 100.]]);
        let mapped = column(&Quantiles::fit(&table, &[FeatureGroup::Number]).apply(&table), 0);
        let expected = 1.5f32.sqrt();
        assert!((mapped[0] + expected).abs() < 1e-5 && mapped[1].abs() < 1e-6, "{mapped:?}");
        assert!((mapped[2] - expected).abs() < 1e-5, "{mapped:?}");
    }

    #[test]
    fn values_beyond_the_training_rows_are_clamped_and_missing_ones_left_out() {
        let table = rows(&[&[1., f32::NAN, 2., 3.]]);
        let quantiles = Quantiles::fit(&table, &[FeatureGroup::Number]);
        let mapped = column(&quantiles.apply(&rows(&[&[1., 3., -1e30, 1e30]])), 0);
        assert_eq!((mapped[2], mapped[3]), (mapped[0], mapped[1]));
        assert!(mapped[0] < mapped[1]);
    }

    #[test]
    fn indicators_and_codes_are_unchanged_and_constant_columns_are_0() {
        let table = rows(&[&[1., 0., 1.], &[-1., 2., f32::NAN], &[4., 4., 4.], &[f32::NAN; 3]]);
        let groups = [
            FeatureGroup::Indicators { count: 1 },
            FeatureGroup::Code { categories: 3 },
            FeatureGroup::Number,
            FeatureGroup::Number,
        ];
        let quantiles = Quantiles::fit(&table, &groups);
        assert!(quantiles.is_valid() && quantiles.features() == 4);
        let mapped = quantiles.apply(&table.nan_to_num(7., None, None));
        assert_eq!(column(&mapped, 0), [1., 0., 1.]);
        assert_eq!(column(&mapped, 1), [-1., 2., 7.]);
        assert_eq!((column(&mapped, 2), column(&mapped, 3)), (vec![0.; 3], vec![0.; 3]));
        assert!(quantiles.apply(&table).select(1, 1).isnan().any().int64_value(&[]) == 1);
    }

    #[test]
    fn the_map_of_numbers_beside_other_features_has_the_bits_of_all_operations() {
        tch::manual_seed(2);
        let table = Tensor::cat(
            &[
                Tensor::randn([500, 2], CPU_FLOAT).exp(),
                Tensor::randint(90_000, [500, 3], CPU_FLOAT) - 1.,
                Tensor::randn([500, 1], CPU_FLOAT).round(),
            ],
            1,
        );
        let codes = vec![FeatureGroup::Code { categories: 90_000 }; 3];
        let groups = [vec![FeatureGroup::Number; 2], codes, vec![FeatureGroup::Number]].concat();
        let quantiles = Quantiles::fit(&table, &groups);
        let _ = table.get(7).fill_(-0.);
        assert_eq!(quantiles.apply(&table), quantiles.map_numbers(&table));
        let bits = |values: &Tensor| values.contiguous().view_dtype(Kind::Int);
        assert_eq!(bits(&quantiles.apply(&table)), bits(&quantiles.map_numbers(&table)));
    }

    #[test]
    fn undo_returns_the_raw_values() {
        tch::manual_seed(1);
        let table = Tensor::cat(
            &[Tensor::randn([300, 2], CPU_FLOAT).exp() * 50., Tensor::ones([300, 1], CPU_FLOAT)],
            1,
        );
        let groups = [FeatureGroup::Number, FeatureGroup::Number, FeatureGroup::Indicators { count: 1 }];
        let quantiles = Quantiles::fit(&table, &groups);
        let back = quantiles.undo(&quantiles.apply(&table));
        assert!(((&back - &table) / &table).abs().max().double_value(&[]) < 1e-3);
    }

    #[test]
    fn large_tables_in_parts_are_mapped_as_single_rows() {
        let table = Tensor::linspace(-3., 9., 200_000, (Kind::Float, Device::Cpu)).view([-1, 1]);
        let quantiles = Quantiles::fit(&table, &[FeatureGroup::Number]);
        let mapped = quantiles.apply(&table);
        assert_eq!(mapped.size(), [200_000, 1]);
        for row in [0, 65_535, 65_536, 199_999] {
            assert_eq!(mapped.narrow(0, row, 1), quantiles.apply(&table.narrow(0, row, 1)));
        }
    }
}
