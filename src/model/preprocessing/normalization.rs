//! Normalization of images with given means and standard deviations.

use std::fmt;
use std::str::FromStr;

use cresset_options::Text;

use super::{Preprocessing, PreprocessingKind};
use crate::data::Dataset;
use crate::error::{Error, Result};

/// Mean and standard deviation of the red, green and blue values of ImageNet, scaled to the range 0 to 1, as torchvision and timm
/// use them.
const IMAGENET: ([f64; 3], [f64; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// The name of [`IMAGENET`].
const IMAGENET_NAME: &str = "imagenet";

/// The name of [`Normalization::Data`].
const DATA_NAME: &str = "data";

/// The name of [`Normalization::Quantiles`].
pub(super) const QUANTILES_NAME: &str = "quantiles";

/// How values are normalized.
///
/// ```
/// use cresset::model::preprocessing::Normalization;
///
/// let normalization: Normalization = "imagenet".parse()?;
/// assert_eq!(normalization, "0.485,0.456,0.406/0.229,0.224,0.225".parse()?);
/// assert!("0.5/0".parse::<Normalization>().unwrap_err().contains("above 0"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Normalization {
    /// The data: the known range of the values, or the mean and standard deviation of the training set.
    Data,
    /// The quantiles of each numeric column of a table in the training set, which are mapped to a normal distribution.
    Quantiles,
    /// Fixed values, which pretrained weights require.
    Fixed {
        /// The means of values scaled to the range 0 to 1: one per channel, or one for all.
        mean: Vec<f64>,
        /// The standard deviations, above 0. The same length as `mean`.
        deviation: Vec<f64>,
    },
}

impl Normalization {
    /// Fixed values.
    ///
    /// # Errors
    /// Lists of other lengths than 1 and 3 or of different lengths, and values that are not finite, or not above 0 for a standard
    /// deviation.
    pub fn fixed(mean: &[f64], deviation: &[f64]) -> std::result::Result<Self, String> {
        if mean.len() != deviation.len() || ![1, 3].contains(&mean.len()) {
            return Err("expected 1 or 3 means, and as many standard deviations".to_string());
        }
        let is_valid = |value: &f64| value.is_finite() && *value > 0.;
        if !mean.iter().all(|value| value.is_finite()) || !deviation.iter().all(is_valid) {
            return Err("means must be finite, and standard deviations above 0".to_string());
        }
        Ok(Normalization::Fixed { mean: mean.to_vec(), deviation: deviation.to_vec() })
    }

    /// The preprocessing of a data set with fixed values; none for those that are fitted to the training set. For grayscale images, the values of
    /// three channels are averaged.
    ///
    /// # Errors
    /// Data that is not images, or images whose range of values is unknown.
    pub fn preprocessing(&self, dataset: &Dataset) -> Result<Option<Preprocessing>> {
        let Normalization::Fixed { mean, deviation } = self else { return Ok(None) };
        let shape = dataset.shape.clone();
        let refuse = |what: &str| {
            let path = dataset.path.display();
            Err(Error::Usage(format!(
                "--normalization with fixed values requires images with a known range of values, but the examples of {path} are {what}"
            )))
        };
        let Some((channels, ..)) = shape.image() else { return refuse("table rows") };
        let Some(range) = dataset.range else { return refuse("numbers in an unknown range") };
        let width = f64::from(range.max) - f64::from(range.min);
        let of_channels = |values: &[f64]| match values {
            [_, _, _] if channels == 1 => vec![values.iter().sum::<f64>() / 3.],
            _ => values.to_vec(),
        };
        let (mean, deviation) = (of_channels(mean), of_channels(deviation));
        if mean.len() > 1 && mean.len() as i64 != channels {
            return refuse(&format!("images with {channels} channels"));
        }
        let offset = mean.iter().map(|mean| (f64::from(range.min) + mean * width) as f32).collect();
        let scale = deviation.iter().map(|deviation| (deviation * width) as f32).collect();
        Ok(Some(Preprocessing {
            kind: PreprocessingKind::FixedChannels,
            offset,
            scale,
            fill: None,
            quantiles: None,
            missing: Vec::new(),
            shape,
        }))
    }
}

impl FromStr for Normalization {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let numbers = |text: &str| {
            let numbers = text.split(',').map(|number| number.trim().parse().ok());
            numbers.collect::<Option<Vec<f64>>>()
        };
        match text {
            DATA_NAME => Ok(Normalization::Data),
            QUANTILES_NAME => Ok(Normalization::Quantiles),
            IMAGENET_NAME => Normalization::fixed(&IMAGENET.0, &IMAGENET.1),
            _ => {
                let parts = text
                    .split_once('/')
                    .and_then(|(mean, deviation)| Some((numbers(mean)?, numbers(deviation)?)));
                let (mean, deviation) = parts.ok_or(
                    "expected `data`, `quantiles`, `imagenet`, or means and standard deviations such as 0.5,0.5,0.5/0.25,0.25,0.25",
                )?;
                Normalization::fixed(&mean, &deviation)
            }
        }
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        match self {
            Normalization::Data => f.write_str(DATA_NAME),
            Normalization::Quantiles => f.write_str(QUANTILES_NAME),
            Normalization::Fixed { mean, deviation } if *mean == IMAGENET.0 && *deviation == IMAGENET.1 => {
                f.write_str(IMAGENET_NAME)
            }
            Normalization::Fixed { mean, deviation } => write!(f, "{}/{}", list(mean), list(deviation)),
        }
    }
}

impl Text for Normalization {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_back_as_they_are_written() {
        for text in ["data", "imagenet", "0.5/0.25", "0.1,0.2,0.3/1,2,3"] {
            assert_eq!(text.parse::<Normalization>().unwrap().to_string(), text);
        }
        for text in ["", "mean", "0.5", "0.5/", "0.5,0.5/1,1", "0.5/1,1,1", "nan/1", "0.5/-1", "0/inf"] {
            assert!(text.parse::<Normalization>().is_err(), "{text}");
        }
    }
}
