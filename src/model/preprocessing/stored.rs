//! Fits preprocessing to rows in a file.

use tch::{Device, Kind, Tensor};

use super::{Preprocessing, TensorDataset, TrainTensors, features, tokens};
use crate::data::options::Missing;
use crate::data::stored::StoredRows;
use crate::data::{Dataset, Targets};
use crate::error::Result;
use crate::model::preprocessing::target_tensor;

/// Values of rows that are in memory at once to fit medians and quantiles, and everything else if the rows are no more.
const SAMPLED: usize = 1 << 22;

impl Preprocessing {
    /// Like [`Preprocessing::fit`] or, with `quantiles`, [`Preprocessing::fit_quantiles`], for the rows at `train` of a file. Means and
    /// standard deviations are those of all rows; medians and quantiles those of an evenly spaced sample if there are many.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn fit_stored(
        dataset: &Dataset,
        stored: &StoredRows,
        train: &[i64],
        missing: Missing,
        quantiles: bool,
    ) -> Result<Self> {
        if let Some(tokens) = tokens::preprocessing(dataset).filter(|_| !quantiles) {
            return Ok(tokens);
        }
        let most = (SAMPLED / stored.width().max(1)).max(1);
        let every = train.len().div_ceil(most).max(1);
        let rows: Vec<i64> = train.iter().copied().step_by(every).collect();
        let size = [rows.len() as i64, stored.width() as i64];
        let inputs = Tensor::from_slice(&stored.gather(&rows)?).view(size);
        let labels = target_tensor(&Targets::Classes, &vec![0; rows.len()], 1);
        let sample = TrainTensors(TensorDataset { inputs, labels });
        let fitted = match quantiles {
            true => Preprocessing::fit_quantiles(dataset, &sample, missing)?,
            false => Preprocessing::fit(dataset, &sample, missing),
        };
        if every == 1 {
            return Ok(fitted);
        }
        let moments = Moments::of(stored, train)?;
        let (offset, scale) = features::described(&moments.means, &moments.squares);
        let fill = match (fitted.fill, missing) {
            (Some(_), Missing::Mean | Missing::Value) => Some(features::numbers(moments.means)),
            (fill, _) => fill,
        };
        Ok(Preprocessing { offset, scale, fill, ..fitted }.keeping_codes(dataset))
    }
}

/// Mean, and mean squared difference from it, of each feature over the rows in which it is not missing: float64 (features).
struct Moments {
    means: Tensor,
    squares: Tensor,
}

impl Moments {
    fn of(stored: &StoredRows, train: &[i64]) -> Result<Self> {
        let zeros = || Tensor::zeros([stored.width() as i64], (Kind::Double, Device::Cpu));
        let (mut sums, mut counts) = (zeros(), zeros());
        each_block(stored, train, |values| {
            sums += values.nansum(0, false, Kind::Double);
            counts += values.isnan().logical_not().sum_dim_intlist(0, false, Kind::Double);
        })?;
        let counts = counts.clamp_min(1.);
        let means = sums / &counts;
        let mut squares = zeros();
        each_block(stored, train, |values| {
            squares += (values - &means).square().nansum(0, false, Kind::Double);
        })?;
        Ok(Moments { means, squares: squares / counts })
    }
}

/// Calls `work` with the training rows of each block, float64 (N, features).
fn each_block(stored: &StoredRows, train: &[i64], mut work: impl FnMut(Tensor)) -> Result<()> {
    Ok(stored.for_each_block(train, |block, rows| {
        let values = stored.features(std::slice::from_ref(block), rows)?;
        let size = [rows.len() as i64, stored.width() as i64];
        work(Tensor::from_slice(&values).view(size).to_kind(Kind::Double));
        Ok(())
    })?)
}
