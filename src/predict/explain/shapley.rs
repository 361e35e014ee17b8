//! Shapley values of the columns of a table (Štrumbelj and Kononenko, "Explaining prediction models and individual predictions with feature
//! contributions", 2014; the interventional SHAP values of Lundberg and Lee, 2017), from pairs of a random order of the columns and its
//! reverse (Mitchell et al., "Sampling Permutations for Shapley Value Estimation", 2022). It replaces whole columns and needs no gradients,
//! so it explains categories, missing values and models of any format.

use rand::seq::SliceRandom;
use tch::{Kind, Tensor};

use super::table::TableColumns;
use super::{ExplainerKind, Subject};
use crate::data::random::{Purpose, stream};
use crate::error::Result;
use cresset_options::number::{NumberOption, Options};

/// The method.
pub(crate) const SHAPLEY: ExplainerKind = ExplainerKind {
    name: "shapley",
    summary: "Shapley values of the columns of a table; sum to the difference from the mean output; needs no gradients",
    options: &[
        NumberOption::whole(
            "pairs",
            1,
            (1, 1000),
            "random orders for each background row, each also reversed",
        ),
        NumberOption::whole("seed", 0, (0, i64::MAX >> 12), "random seed of the orders"),
    ],
    is_for_tables: true,
    attribute,
};

/// Values of all rows that are computed together.
const AT_ONCE: i64 = 1 << 21;

/// The mean change of the score when a column of the background row becomes that of the input, over random orders of the columns. Each
/// order leads from the whole background row to the whole input, so the values sum to the score less the mean score of the background.
fn attribute(options: &Options, subject: &Subject, input: &Tensor) -> Result<Tensor> {
    let columns = TableColumns::require(subject.metadata(), SHAPLEY.name)?;
    let background = subject.background()?.to_device(input.device());
    let column_of = columns.of_features().to_device(input.device());
    let (rows, features) = background.size2()?;
    let count = columns.0.len() as i64;
    let ranks = ranks(count, rows, options.whole("pairs"), options.whole("seed") as u64);
    let at_once = (AT_ONCE / ((count + 1) * features)).max(1);
    let mut sum = Tensor::zeros([count], (Kind::Double, tch::Device::Cpu));
    let walks = ranks.size()[0];
    for start in (0..walks).step_by(at_once as usize) {
        let length = at_once.min(walks - start);
        let ranks = ranks.narrow(0, start, length);
        // Before step k, the columns of rank below k are those of the input.
        let steps = Tensor::arange(count + 1, (Kind::Int64, tch::Device::Cpu)).view([1, -1, 1]);
        let is_input =
            ranks.unsqueeze(1).lt_tensor(&steps).to_device(input.device()).index_select(2, &column_of);
        let places =
            Tensor::arange_start(start, start + length, (Kind::Int64, input.device())).remainder(rows);
        let from = background.index_select(0, &places).unsqueeze(1);
        let mixed = input.view([1, 1, features]).where_self(&is_input, &from).view([-1, features]);
        let scores = subject
            .scores(&mixed)?
            .to_device(tch::Device::Cpu)
            .to_kind(Kind::Double)
            .view([length, count + 1]);
        let changes = scores.diff::<Tensor>(1, 1, None, None);
        sum += changes.gather(1, &ranks, false).sum_dim_intlist(0, false, Kind::Double);
    }
    Ok((sum / walks as f64).to_kind(Kind::Float))
}

/// The rank of each column in random orders and their reverses, int64 (walks, columns). Consecutive walks belong to consecutive
/// background rows.
fn ranks(columns: i64, rows: i64, pairs: i64, seed: u64) -> Tensor {
    let mut generator = stream(seed, Purpose::Permutation, u64::MAX);
    let mut order: Vec<i64> = (0..columns).collect();
    let drawn = (0..pairs * rows).flat_map(|_| {
        order.shuffle(&mut generator);
        order.clone()
    });
    let drawn = Tensor::from_slice(&drawn.collect::<Vec<_>>()).view([pairs * rows, columns]);
    let reversed: Tensor = columns - 1 - &drawn;
    Tensor::cat(&[drawn, reversed], 0)
}
