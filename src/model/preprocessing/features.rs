//! Statistics of each feature of a table, without missing values, which are NaN.

use tch::{Kind, Tensor};

use crate::data::column::FeatureGroup;
use crate::data::options::Missing;
use crate::data::{Dataset, Inputs};

/// Mean and standard deviation of each feature over rows (N, features). The standard deviation of a constant feature is set
/// to 1, so that it becomes 0.
pub fn statistics(inputs: &Tensor) -> (Vec<f32>, Vec<f32>) {
    let (rows, features) = inputs.size2().expect("inputs are (N, features)");
    // In chunks of features, because float64 takes twice the memory of the values.
    let at_once = (AT_ONCE / rows.max(1)).clamp(1, features.max(1));
    let parts = (0..features).step_by(at_once as usize);
    let parts = parts.map(|start| statistics_of(&inputs.narrow(1, start, at_once.min(features - start))));
    let (means, deviations): (Vec<_>, Vec<_>) = parts.unzip();
    (means.concat(), deviations.concat())
}

/// Values per chunk.
const AT_ONCE: i64 = 1 << 20;

fn statistics_of(inputs: &Tensor) -> (Vec<f32>, Vec<f32>) {
    // In float64, because float32 sums of many large values are inaccurate.
    let values = inputs.to_kind(Kind::Double);
    let (mean, squares) = if values.isnan().any().int64_value(&[]) == 0 {
        let mean = values.mean_dim(0, false, Kind::Double);
        let squares = (&values - &mean).square().mean_dim(0, false, Kind::Double);
        (mean, squares)
    } else {
        let mean = values.nanmean(0, false, Kind::Double).nan_to_num(0., None, None);
        let squares = (&values - &mean).square().nanmean(0, false, Kind::Double).nan_to_num(0., None, None);
        (mean, squares)
    };
    described(&mean, &squares)
}

/// Mean and standard deviation from the means and the mean squared differences from them, float64 (features).
pub fn described(mean: &Tensor, squares: &Tensor) -> (Vec<f32>, Vec<f32>) {
    let deviation = squares.sqrt();
    let deviation = deviation.where_self(&deviation.gt(1e-12), &deviation.ones_like());
    (numbers(mean.shallow_clone()), numbers(deviation))
}

/// The replacement of missing values of each feature: its mean or median over the rows (N, features) in which it is present,
/// 0 if there are none. The median of an even number of values is the mean of the two middle ones.
///
/// If a missing value is a value of its own, there are replacements only if the data `lacks_values`, also if only validation or test rows
/// do.
pub fn fill(inputs: &Tensor, missing: Missing, lacks_values: bool) -> Option<Vec<f32>> {
    match missing {
        Missing::Error | Missing::Drop => None,
        Missing::Value if !lacks_values => None,
        Missing::Mean | Missing::Value => {
            let mean = inputs.to_kind(Kind::Double).nanmean(0, false, Kind::Double);
            Some(numbers(mean.nan_to_num(0., None, None)))
        }
        Missing::Median => {
            Some((0..inputs.size()[1]).map(|feature| median(&inputs.select(1, feature))).collect())
        }
    }
}

/// Whether any row of a data set lacks a value.
pub fn lacks_values(dataset: &Dataset) -> bool {
    match &dataset.inputs {
        Inputs::Floats(values) => values.iter().any(|value| value.is_nan()),
        Inputs::Stored(rows) => rows.known().is_some_and(|survey| rows.lacks_values(survey)),
        Inputs::Bytes(_) | Inputs::Images(_) => false,
    }
}

/// The features that get an indicator of missing values: the numbers that one of these rows of a table lacks, if a missing value is a
/// value of its own.
pub fn marked(dataset: &Dataset, rows: &[i64], missing: Missing) -> Vec<usize> {
    let (Missing::Value, Some(table)) = (missing, &dataset.table) else { return Vec::new() };
    let width = dataset.shape.features() as usize;
    let lacking = match &dataset.inputs {
        Inputs::Stored(rows) => rows.known().map(|survey| rows.lacking_features(survey)).unwrap_or_default(),
        _ => Vec::new(),
    };
    let lacks = |feature: usize| match &dataset.inputs {
        Inputs::Floats(values) => rows.iter().any(|row| values[*row as usize * width + feature].is_nan()),
        Inputs::Stored(_) => lacking.get(feature).copied().unwrap_or(false),
        Inputs::Bytes(_) | Inputs::Images(_) => false,
    };
    let (mut marked, mut first) = (Vec::new(), 0);
    for group in table.feature_groups() {
        if group == FeatureGroup::Number && lacks(first) {
            marked.push(first);
        }
        first += group.features();
    }
    marked
}

fn median(feature: &Tensor) -> f32 {
    let mut values = Vec::<f32>::try_from(feature).expect("a feature is a vector");
    values.retain(|value| !value.is_nan());
    values.sort_unstable_by(f32::total_cmp);
    match values[..] {
        [] => 0.,
        _ => (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.,
    }
}

/// A vector of numbers, in float32.
pub fn numbers(statistics: Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(statistics.to_kind(Kind::Float)).expect("statistics are a vector")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Tensor {
        let nan = f32::NAN;
        Tensor::from_slice2(&[[1., nan, nan], [2., 5., nan], [6., 5., nan], [nan, 8., nan]])
    }

    #[test]
    fn missing_values_are_no_part_of_the_statistics() {
        let (mean, deviation) = statistics(&table());
        assert_eq!(mean, [3., 6., 0.]);
        assert_eq!(deviation, [(14f64 / 3.).sqrt() as f32, 2f64.sqrt() as f32, 1.]);
    }

    #[test]
    fn missing_values_are_filled_with_mean_or_median() {
        assert_eq!(fill(&table(), Missing::Mean, true).unwrap(), [3., 6., 0.]);
        assert_eq!(fill(&table(), Missing::Median, true).unwrap(), [2., 5., 0.]);
        let even = Tensor::from_slice2(&[[1f32], [2.], [4.], [9.]]);
        assert_eq!(fill(&even, Missing::Median, false).unwrap(), [3.]);
        assert_eq!(fill(&even, Missing::Error, false), None);
    }
}
