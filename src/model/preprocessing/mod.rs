//! Preprocessing of raw values. It is fitted to the training set only and exported with the model, which therefore takes raw
//! values.

mod channels;
mod features;
mod fit;
mod normalization;
mod quantiles;
mod rows;
mod stored;
mod tensors;
mod tokens;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::data::column::FeatureGroup;
use crate::data::image::{Channels, Decoding};
use crate::data::options::Missing;
use crate::data::{Dataset, InputShape, TableLayout};
use crate::error::{Error, Result};
use crate::model::Task;
use crate::model::script::Class;
pub(crate) use features::marked;
pub use normalization::Normalization;
pub use quantiles::Quantiles;
pub(crate) use rows::RowPreprocessing;
pub(crate) use tensors::target_tensor;
pub use tensors::{TensorDataset, TrainTensors};

/// Imputation of missing values, then `(x - offset) / scale` or quantile normalization, then a reshape to the input shape.
///
/// ```
/// use cresset::data::options::Missing;
/// use cresset::data::{self, DataOptions};
/// use cresset::model::preprocessing::{Preprocessing, PreprocessingKind, TensorDataset, TrainTensors};
/// use tch::{Device, Kind};
///
/// let dataset = data::load("iris", &DataOptions::default())?;
/// let rows: Vec<i64> = (0..150).collect();
/// let train = TrainTensors(TensorDataset::of(&dataset, &rows, Device::Cpu));
/// let preprocessing = Preprocessing::fit(&dataset, &train, Missing::Error);
/// assert_eq!(preprocessing.kind, PreprocessingKind::Standardize);
/// let mean = preprocessing.apply(&train.0.inputs).mean(Kind::Float).double_value(&[]);
/// assert!(mean.abs() < 1e-5);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// The source of offset and scale.
    pub kind: PreprocessingKind,
    /// Subtracted from the raw values: one number, one per channel, or one per feature.
    pub offset: Vec<f32>,
    /// Divisor after the subtraction, never 0. The same length as `offset`.
    pub scale: Vec<f32>,
    /// Replacements of missing values (NaN), one per feature, from the training set. None if no value may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<Vec<f32>>,
    /// The maps of quantile normalization, which replaces offset and scale. These then describe the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Quantiles>,
    /// The features of a table with an indicator of missing values. The indicators (0 or 1) follow the features, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<usize>,
    /// The shape of a raw example.
    pub shape: InputShape,
}

/// The index of an unknown category.
const UNKNOWN: f32 = -1.;

/// The kind of normalization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreprocessingKind {
    /// Scales the known range of the values to 0 to 1.
    Range,
    /// Standardizes each feature by the statistics of the training set.
    Standardize,
    /// Standardizes each channel of images by the statistics of the training set.
    StandardizeChannels,
    /// Normalizes each channel of images by fixed values, those of pretrained weights.
    FixedChannels,
    /// Maps each numeric column of a table to a normal distribution by its quantiles in the training set.
    Quantiles,
    /// Leaves the token ids of texts as they are.
    Tokens,
    /// Leaves the token ids of pairs of texts as they are.
    TokenPairs,
}

impl PreprocessingKind {
    /// Whether offset and scale have a value per channel.
    fn is_per_channel(self) -> bool {
        matches!(self, PreprocessingKind::StandardizeChannels | PreprocessingKind::FixedChannels)
    }

    /// Whether the values are token ids.
    pub(crate) fn is_tokens(self) -> bool {
        matches!(self, PreprocessingKind::Tokens | PreprocessingKind::TokenPairs)
    }
}

impl Preprocessing {
    /// Fits the preprocessing of a data set: by its range if that is known, else by the statistics of `train`.
    pub fn fit(dataset: &Dataset, train: &TrainTensors, missing: Missing) -> Self {
        let shape = dataset.shape.clone();
        if let Some(tokens) = tokens::preprocessing(dataset) {
            return tokens;
        }
        let inputs = &train.0.inputs;
        let kind = match (shape.image(), dataset.range) {
            (Some((channels, ..)), _) if inputs.kind() == Kind::Uint8 => {
                let (offset, scale) = channels::statistics(inputs, channels);
                let kind = PreprocessingKind::StandardizeChannels;
                return Preprocessing {
                    kind,
                    offset,
                    scale,
                    fill: None,
                    quantiles: None,
                    missing: Vec::new(),
                    shape,
                };
            }
            (_, Some(_)) => PreprocessingKind::Range,
            (_, None) => PreprocessingKind::Standardize,
        };
        let fill = features::fill(inputs, missing, features::lacks_values(dataset));
        let (offset, scale) = match dataset.range {
            Some(range) => (vec![range.min], vec![range.max - range.min]),
            None => features::statistics(inputs),
        };
        Preprocessing { kind, offset, scale, fill, quantiles: None, missing: Vec::new(), shape }
            .keeping_codes(dataset)
    }

    /// Leaves indices of categories as they are; a missing one becomes that of an unknown category.
    fn keeping_codes(mut self, dataset: &Dataset) -> Self {
        let mut first = 0;
        for group in feature_groups(dataset).unwrap_or_default() {
            if matches!(group, FeatureGroup::Code { .. }) {
                (self.offset[first], self.scale[first]) = (0., 1.);
                self.fill.iter_mut().for_each(|fill| fill[first] = UNKNOWN);
            }
            first += group.features();
        }
        self
    }

    /// Fits quantile normalization to the training rows of a table.
    ///
    /// # Errors
    /// Data that is not a table.
    pub fn fit_quantiles(dataset: &Dataset, train: &TrainTensors, missing: Missing) -> Result<Self> {
        let groups = feature_groups(dataset).filter(|_| tokens::preprocessing(dataset).is_none());
        let Some(groups) = groups else {
            let path = dataset.path.display();
            return Err(Error::Usage(format!(
                "--normalization {} requires a table of numbers, but the examples of {path} are not rows of one",
                normalization::QUANTILES_NAME
            )));
        };
        let inputs = &train.0.inputs.to_kind(Kind::Float);
        let (offset, scale) = features::statistics(inputs);
        Ok(Preprocessing {
            kind: PreprocessingKind::Quantiles,
            offset,
            scale,
            fill: features::fill(inputs, missing, features::lacks_values(dataset)),
            quantiles: Some(Quantiles::fit(inputs, &groups)),
            missing: Vec::new(),
            shape: dataset.shape.clone(),
        }
        .keeping_codes(dataset))
    }

    /// Adds indicators of missing values of these features of a table.
    pub(crate) fn marking(self, missing: Vec<usize>) -> Self {
        Preprocessing { missing, ..self }
    }

    /// The shape of a preprocessed example: that of a raw one, and the indicators of missing values.
    pub fn output(&self) -> InputShape {
        with_indicators(&self.shape, self.missing.len())
    }

    /// Raw values (N, …), uint8 or float, to the model's input: float32 (N, output…).
    pub fn apply(&self, raw: &Tensor) -> Tensor {
        if self.kind.is_tokens() {
            return tokens::apply(self.kind, raw);
        }
        let (offset, scale) = self.tensors();
        let (offset, scale) = (offset.to_device(raw.device()), scale.to_device(raw.device()));
        let sizes: Vec<i64> = std::iter::once(raw.size()[0]).chain(self.shape.0.iter().copied()).collect();
        let is_copy = raw.kind() != Kind::Float && self.fill.is_none();
        let mut raw = raw.to_kind(Kind::Float).reshape(sizes);
        let marks = self.missing_tensor().map(|missing| {
            raw.index_select(1, &missing.to_device(raw.device())).isnan().to_kind(Kind::Float)
        });
        if let Some(fill) = self.fill_tensor() {
            raw = fill.to_device(raw.device()).where_self(&raw.isnan(), &raw);
        }
        if is_copy && marks.is_none() && self.quantiles.is_none() {
            // In place, to save memory for batches of large images.
            return raw.g_sub_(&offset).g_div_(&scale);
        }
        let values = match &self.quantiles {
            Some(quantiles) => quantiles.apply(&raw),
            None => (raw - offset) / scale,
        };
        match marks {
            Some(marks) => Tensor::cat(&[values, marks], 1),
            None => values,
        }
    }

    /// Raw values (N, features) without the padding that all texts have; other values stay.
    pub(crate) fn trimmed(&self, raw: &Tensor) -> Tensor {
        match self.kind {
            PreprocessingKind::Tokens if raw.dim() == 2 => tokens::apply(self.kind, raw),
            _ => raw.shallow_clone(),
        }
    }

    /// The inverse, up to rounding: raw values, float32 (N, shape…), from the model's input. Values that are marked as missing are NaN;
    /// other imputed values stay.
    pub(crate) fn undo(&self, inputs: &Tensor) -> Tensor {
        if self.missing.is_empty() {
            return self.undo_values(inputs);
        }
        let width = self.shape.features();
        let raw = self.undo_values(&inputs.narrow(1, 0, width)).copy();
        for (place, feature) in self.missing.iter().enumerate() {
            let is_missing = inputs.select(1, width + place as i64).ge(0.5);
            let _ = raw.select(1, *feature as i64).masked_fill_(&is_missing, f64::NAN);
        }
        raw
    }

    fn undo_values(&self, inputs: &Tensor) -> Tensor {
        if let Some(quantiles) = &self.quantiles {
            return quantiles.undo(inputs);
        }
        let (offset, scale) = self.tensors();
        inputs * scale.to_device(inputs.device()) + offset.to_device(inputs.device())
    }

    /// The equivalent of [`Preprocessing::apply`] in TorchScript. It also resizes images of another size, as `decoding` says, and
    /// rejects invalid inputs.
    pub fn script(&self, decoding: Decoding) -> Class {
        if self.kind.is_tokens() {
            return tokens::script(self);
        }
        let (offset, scale) = self.tensors();
        let sizes: Vec<_> = self.shape.0.iter().map(i64::to_string).collect();
        let width = self.shape.features();
        let fill = match self.fill {
            Some(_) => "    raw = torch.where(torch.isnan(raw), self.fill, raw)\n",
            None => "",
        };
        let (fitted, fit) = match Channels::of(&self.shape) {
            Some((channels, height, width)) => (
                "self.fit(values) if x.dim() > 2 else values",
                fit::script(channels, height, width, decoding),
            ),
            None => ("values", String::new()),
        };
        let normalized = match self.quantiles {
            Some(_) => Quantiles::EXPRESSION,
            None => "torch.div(torch.sub(raw, self.offset), self.scale)",
        };
        let (marks, result) = match self.missing.is_empty() {
            true => ("", "values"),
            false => (
                "    marks = torch.isnan(torch.index_select(raw, 1, self.missing)).to(raw.dtype)\n",
                "torch.cat([values, marks], 1)",
            ),
        };
        let methods = format!(
            r#"  def forward(self: {{class}}, x: Tensor) -> Tensor:
    assert x.dim() > 1, "the input needs a batch dimension: (N, {width})"
    values = x.to(self.offset.dtype)
    values = {fitted}
    assert values[0].numel() == {width} if x.size(0) > 0 else True, "an example of the input must have {width} values ({shape})"
    raw = values.reshape([x.size(0), {sizes}])
{marks}{fill}    values = {normalized}
    return {result}
{fit}"#,
            shape = self.shape,
            sizes = sizes.join(", "),
        );
        let class = Class::new("Preprocess", methods).buffer("offset", &offset).buffer("scale", &scale);
        let class = match &self.quantiles {
            Some(quantiles) => quantiles.buffers(class),
            None => class,
        };
        let class = match self.missing_tensor() {
            Some(missing) => class.buffer("missing", &missing),
            None => class,
        };
        match self.fill_tensor() {
            Some(fill) => class.buffer("fill", &fill),
            None => class,
        }
    }

    /// The features with an indicator, int64; none if there are none.
    fn missing_tensor(&self) -> Option<Tensor> {
        let features: Vec<i64> = self.missing.iter().map(|feature| *feature as i64).collect();
        (!features.is_empty()).then(|| Tensor::from_slice(&features))
    }

    /// The replacements of missing values, float32 (shape…).
    fn fill_tensor(&self) -> Option<Tensor> {
        self.fill.as_ref().map(|fill| Tensor::from_slice(fill).view(self.shape.0.as_slice()))
    }

    /// Offset and scale, float32, broadcastable over (N, shape…).
    pub(crate) fn tensors(&self) -> (Tensor, Tensor) {
        let tensor = |values: &[f32]| match values {
            [one] => Tensor::from(*one),
            many if self.kind.is_per_channel() => Tensor::from_slice(many).view([-1, 1, 1]),
            _ => Tensor::from_slice(values).view(self.shape.0.as_slice()),
        };
        (tensor(&self.offset), tensor(&self.scale))
    }
}

/// The task of a model that is trained on a data set, with `marked` indicators of missing values.
pub(crate) fn task(dataset: &Dataset, marked: usize) -> Task {
    let mut groups = feature_groups(dataset).unwrap_or_default();
    if marked > 0 {
        groups.push(FeatureGroup::Indicators { count: marked });
    }
    let input = with_indicators(&dataset.shape, marked);
    Task { kind: dataset.task(), groups, ..Task::new(input, dataset.classes.len() as i64) }
}

fn with_indicators(shape: &InputShape, count: usize) -> InputShape {
    if count == 0 { shape.clone() } else { InputShape(vec![shape.features() + count as i64]) }
}

/// The groups of the features of a table, all of which are numbers in an array; none for images.
fn feature_groups(dataset: &Dataset) -> Option<Vec<FeatureGroup>> {
    let is_image = dataset.shape.image().is_some();
    let numbers = || vec![FeatureGroup::Number; dataset.shape.features() as usize];
    (!is_image).then(|| dataset.table.as_ref().map_or_else(numbers, TableLayout::feature_groups))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Inputs, Names, ValueRange};
    use tch::Device;

    fn dataset(values: &[f32], shape: Vec<i64>, range: Option<ValueRange>) -> (Dataset, TrainTensors) {
        let shape = InputShape(shape);
        let rows = values.len() / shape.features() as usize;
        let dataset = Dataset {
            path: "a.csv".into(),
            sha256: String::new(),
            classes: vec!["a".into(), "b".into()],
            labels: vec![0; rows],
            targets: crate::data::Targets::Classes,
            shape,
            range,
            inputs: Inputs::Floats(values.to_vec()),
            names: Names::Rows((0..rows as u64).collect()),
            table: None,
            portions: None,
            groups: None,
            decoding: Decoding::default(),
            texts: None,
            choices: Default::default(),
        };
        let train =
            TrainTensors(TensorDataset::of(&dataset, &(0..rows as i64).collect::<Vec<_>>(), Device::Cpu));
        (dataset, train)
    }

    #[test]
    fn a_known_range_becomes_zero_to_one() {
        let range = Some(ValueRange { min: 0., max: 16. });
        let (dataset, train) = dataset(&[0., 8., 16., 4.], vec![1, 2, 2], range);
        let x = Preprocessing::fit(&dataset, &train, Missing::Error).apply(&train.0.inputs);
        assert_eq!(x.size(), [1, 1, 2, 2]);
        assert_eq!(Vec::<f32>::try_from(x.view(-1)).unwrap(), [0., 0.5, 1., 0.25]);
        let raw = Preprocessing::fit(&dataset, &train, Missing::Error).undo(&x);
        assert_eq!(Vec::<f32>::try_from(raw.view(-1)).unwrap(), [0., 8., 16., 4.]);
    }

    #[test]
    fn a_value_that_only_a_validation_row_lacks_is_filled() {
        let (dataset, _) = dataset(&[1., 2., 3., f32::NAN], vec![1], None);
        let train = TrainTensors(TensorDataset::of(&dataset, &[0, 1, 2], Device::Cpu));
        let all = TensorDataset::of(&dataset, &[0, 1, 2, 3], Device::Cpu).inputs;
        let preprocessing = Preprocessing::fit(&dataset, &train, Missing::Value);
        assert_eq!(preprocessing.fill.as_deref(), Some(&[2.][..]));
        assert_eq!(preprocessing.apply(&all).double_value(&[3, 0]), 0.);
        assert_eq!(Preprocessing::fit(&dataset, &train, Missing::Error).fill, None);
    }

    #[test]
    fn images_of_bytes_are_standardized_by_channel() {
        let (mut dataset, _) = dataset(&[0.; 16], vec![2, 2, 2], Some(ValueRange { min: 0., max: 255. }));
        dataset.inputs = Inputs::Bytes((0..8).chain(200..208).collect());
        let train = TrainTensors(TensorDataset::of(&dataset, &[0, 1], Device::Cpu));
        let x = Preprocessing::fit(&dataset, &train, Missing::Error).apply(&train.0.inputs);
        assert_eq!(x.size(), [2, 2, 2, 2]);
        for channel in 0..2 {
            let channel = x.select(1, channel);
            assert!(channel.mean(Kind::Float).double_value(&[]).abs() < 1e-6);
            assert!((channel.std(false).double_value(&[]) - 1.).abs() < 1e-6);
        }
    }

    #[test]
    fn fixed_values_are_scaled_to_the_range_of_the_values() {
        let range = Some(ValueRange { min: 0., max: 16. });
        let normalization: Normalization = "0.5,0.25,0/0.5,1,0.25".parse().unwrap();
        let (color, train) = dataset(&[8., 16., 16.], vec![3, 1, 1], range);
        let preprocessing = normalization.preprocessing(&color).unwrap().unwrap();
        let x = preprocessing.apply(&train.0.inputs);
        assert_eq!(x.size(), [1, 3, 1, 1]);
        assert_eq!(Vec::<f32>::try_from(x.view(-1)).unwrap(), [0., 0.75, 4.]);
        // The average of three channels for grayscale.
        let (gray, train) = dataset(&[4.], vec![1, 1, 1], range);
        let x = normalization.preprocessing(&gray).unwrap().unwrap().apply(&train.0.inputs);
        assert!(x.double_value(&[0, 0, 0, 0]).abs() < 1e-6);

        let (table, _) = dataset(&[1., 2.], vec![2], range);
        let problem = normalization.preprocessing(&table).unwrap_err().to_string();
        assert!(problem.contains("requires images"), "{problem}");
        assert!(Normalization::Data.preprocessing(&table).unwrap().is_none());
    }

    #[test]
    fn standardized_features_have_mean_0_and_deviation_1_and_constant_ones_are_0() {
        let (dataset, train) = dataset(&[1e6, 7., 1e6 + 2., 7., 1e6 + 4., 7.], vec![2], None);
        let x = Preprocessing::fit(&dataset, &train, Missing::Error).apply(&train.0.inputs);
        let column = |index| x.select(1, index);
        assert!(column(0).mean(Kind::Float).double_value(&[]).abs() < 1e-6);
        assert!((column(0).std(false).double_value(&[]) - 1.).abs() < 1e-6);
        assert_eq!(Vec::<f32>::try_from(column(1)).unwrap(), [0., 0., 0.]);
    }
}
