//! The worst errors of a model, each with its attribution.

mod selection;

use image::RgbImage;
use image::imageops::{FilterType, resize};
use tch::{Kind, Tensor};

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::loader::Batch;
use crate::options::Config;
use crate::predict::explain::table::{Background, TableColumns};
use crate::predict::explain::text::TextAttribution;
use crate::predict::explain::{Explainer, Subject, draw_heat_map, plain};
use crate::predict::{Classifier, TextReader};
use crate::report::columns::background;
use crate::report::texts::highlighted;
use crate::run::Examples;

/// A wrong prediction.
pub(crate) struct ShownError {
    /// Name of the example in the data.
    pub name: String,
    /// What is wrong.
    pub kind: ErrorKind,
    /// The image and its attribution to the wrong output; `None` for tables.
    pub images: Option<(RgbImage, Option<RgbImage>)>,
    /// The columns of a table with the largest attribution to the wrong output: name, value, attribution.
    pub columns: Vec<(String, String, f64)>,
    /// The text as HTML, with its words colored by their attribution to the wrong output.
    pub text: Option<String>,
}

/// What is wrong with a prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ErrorKind {
    /// Another class.
    Class {
        /// The actual class.
        actual: usize,
        /// The predicted class.
        predicted: usize,
        /// Probability of the predicted class.
        confidence: f64,
    },
    /// A label that is missing or that the example does not have.
    Label {
        /// The label.
        label: usize,
        /// Whether the example has it.
        is_present: bool,
        /// Its probability.
        probability: f64,
    },
    /// A number, in the unit of the target.
    Value {
        /// The actual value.
        actual: f64,
        /// The predicted value.
        predicted: f64,
    },
}

impl ErrorKind {
    /// The output that is explained.
    fn output(self) -> usize {
        match self {
            ErrorKind::Class { predicted, .. } => predicted,
            ErrorKind::Label { label, .. } => label,
            ErrorKind::Value { .. } => 0,
        }
    }
}

/// Maximum number of errors shown.
const SHOWN: usize = 24;

/// Maximum side of a shown image in pixels.
const SIDE: u32 = 160;

/// Number of columns named per example.
const COLUMNS: usize = 4;

/// Training rows that each row of a table is compared with.
const BACKGROUND_ROWS: usize = 32;

/// Minimum image side for Grad-CAM: the last feature map of a smaller image is too coarse.
const MIN_FOR_GRAD_CAM: i64 = 64;

/// The worst errors in an evaluation: the most confident ones of classes and labels, the largest ones of numbers. `rows` maps its
/// examples to the dataset.
pub(crate) fn worst_errors(
    classifier: &Classifier,
    examples: &Examples,
    config: &Config,
    evaluation: &Evaluation,
    rows: &[i64],
) -> Result<Vec<ShownError>> {
    let Some(scores) = &evaluation.scores else { return Ok(Vec::new()) };
    let selected = selection::worst(scores, &classifier.metadata().outputs, SHOWN);
    let error_rows: Vec<i64> = selected.iter().map(|(index, _)| rows[*index]).collect();

    let columns = TableColumns::of(classifier.metadata());
    let with_background =
        |columns| Ok::<_, Error>((columns, background(classifier, examples, BACKGROUND_ROWS)?));
    let table = columns.map(with_background).transpose()?;
    let mut texts = classifier.metadata().input.table.as_ref().map(TextReader::new);
    let dataset = &examples.dataset;
    let mut errors: Vec<ShownError> = Vec::new();
    let feed = examples.raw(&error_rows, config, classifier.device());
    for batch in feed.in_order() {
        let Batch { inputs, .. } = batch?;
        for raw in inputs.split(1, 0) {
            let row = error_rows[errors.len()] as usize;
            let kind = selected[errors.len()].1;
            let location = dataset.names.location(&dataset.path, row);
            // A file that has moved is no reason for a report without the other errors.
            let text = texts.as_mut().and_then(|texts| texts.text(&location, &raw).ok()?);
            let error = ShownError {
                name: dataset.names.name(row),
                kind,
                images: None,
                columns: Vec::new(),
                text: text.and_then(|text| colored(classifier, kind, &text)),
            };
            errors.push(explain(error, classifier, dataset, table.as_ref(), &raw)?);
        }
    }
    Ok(errors)
}

/// A text as HTML with colored words; `None` if no method supports the model.
fn colored(classifier: &Classifier, kind: ErrorKind, text: &str) -> Option<String> {
    let found = TextAttribution::of(&Subject::new(classifier, kind.output()), text).ok()?;
    Some(highlighted(text, &found.words))
}

fn explain(
    error: ShownError,
    classifier: &Classifier,
    dataset: &Dataset,
    table: Option<&(TableColumns, Background)>,
    raw: &Tensor,
) -> Result<ShownError> {
    let subject = Subject::new(classifier, error.kind.output());
    let image_range = classifier.metadata().input.value_range.filter(|_| dataset.shape.image().is_some());
    if let Some(range) = image_range {
        let raw = raw.to_device(tch::Device::Cpu).view(subject.shape());
        let heat = attribution(&subject, &raw)
            .map(|attribution| draw_heat_map(&raw, &attribution, range))
            .transpose()?;
        let images = Some((shrink(plain(&raw, range)?), heat.map(shrink)));
        return Ok(ShownError { images, ..error });
    }
    let columns = match table {
        Some((columns, background)) => top_columns(&subject.with_background(background), columns, raw)?,
        None => Vec::new(),
    };
    Ok(ShownError { columns, ..error })
}

/// The attribution to the wrong output; `None` if no method supports the model.
fn attribution(subject: &Subject, raw: &Tensor) -> Option<Tensor> {
    let side = subject.shape().iter().skip(1).min().copied().unwrap_or(0);
    // Integrated gradients run the model about 50 times, which takes seconds for a large image.
    let methods: &[(&str, &str)] = match side >= MIN_FOR_GRAD_CAM {
        true => &[("grad-cam", ""), ("integrated-gradients", "steps=8")],
        false => &[("integrated-gradients", "")],
    };
    methods
        .iter()
        .find_map(|(name, options)| Explainer::new(name, options).ok()?.attribute(subject, raw).ok())
}

/// The columns with the largest Shapley values: name, value in the row, Shapley value.
fn top_columns(
    subject: &Subject,
    columns: &TableColumns,
    raw: &Tensor,
) -> Result<Vec<(String, String, f64)>> {
    let weights = columns.sums(&Explainer::new("shapley", "")?.attribute(subject, raw)?)?;
    let row =
        Vec::<f32>::try_from(raw.to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous().view(-1))?;
    let shown = columns.0.iter().map(|column| (column.name.clone(), column.shown(&row)));
    let mut shown: Vec<_> = shown.zip(weights).map(|((name, value), weight)| (name, value, weight)).collect();
    shown.sort_by(|a, b| b.2.total_cmp(&a.2));
    shown.truncate(COLUMNS);
    Ok(shown)
}

fn shrink(image: RgbImage) -> RgbImage {
    let side = image.width().max(image.height());
    if side <= SIDE {
        return image;
    }
    let shrunk = |length: u32| (length * SIDE / side).max(1);
    resize(&image, shrunk(image.width()), shrunk(image.height()), FilterType::Triangle)
}
