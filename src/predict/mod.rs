//! An exported model at work.

mod embeddings;
pub mod explain;
mod fast;
mod load;
mod many;
mod output;
mod sources;
mod stream;
mod taken;
mod views;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cresset_bridge::script::Module;
use tch::{Device, Tensor};

use crate::data::column::{Column, ColumnKind};
use crate::data::format::csv::Allowed;
use crate::data::format::listed::ImageList;
use crate::data::format::{self, FORMATS, Format, csv};
use crate::data::image::{Channels, InputReader};
use crate::data::notation::Notation;
use crate::data::options::{ColumnChoice, ImageSize};
use crate::data::unknown::OnUnknown;
use crate::data::{DataOptions, Inputs as RawInputs, Names, Table, TableLayout, ValueRange, image};
use crate::error::{Error, Place, Result, guard};
use crate::evaluate::{Evaluation, Keep, evaluate};
use crate::export::{Exported, METADATA, Metadata};
use crate::loader::{Gallery, HeldOutFeed, InMemory, StreamHeldOut};
use crate::model::preprocessing::TensorDataset;
use fast::Fast;
pub use load::metadata;
pub use many::Summary;
pub use output::{Form, Output, Writer};
pub use sources::Sources;
use sources::is_for_pictures;
pub use stream::{Batching, Classified, ClassifiedBatch, Found, Stream};
pub use taken::{Cell, Input, Notes, Taken};
pub use views::ViewOptions;
use views::Views;

/// A `model.pt`, loaded.
pub struct Classifier {
    path: PathBuf,
    module: Module,
    /// On a CPU, the ways that are taken where no gradients are wanted.
    fast: Option<Fast>,
    device: Device,
    metadata: Metadata,
    views: Option<Views>,
    on_unknown: OnUnknown,
    /// The samples that the file recorded, as it has them.
    recorded: Option<String>,
}

/// A class and its probability.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Ranked {
    /// The class's name.
    pub class: String,
    /// Its probability, from 0 to 1.
    pub probability: f64,
}

/// What the model makes of one input.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// Where the input stands: a picture's path, or `file:line`.
    pub input: String,
    /// The most probable classes, the most probable one first.
    pub predictions: Vec<Ranked>,
}

/// Inputs read from a file, raw, with the place of each.
pub struct Inputs {
    places: Vec<Place>,
    values: Tensor,
}

impl Inputs {
    /// The number of inputs.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The inputs one by one: the place of each, and its raw values, (1, …).
    pub fn iter(&self) -> impl Iterator<Item = (&Place, Tensor)> {
        (0..).zip(&self.places).map(|(row, place)| (place, self.values.narrow(0, row, 1)))
    }
}

impl Classifier {
    /// The model for the formats that it can be exported in.
    pub fn into_exported(self) -> Exported {
        let input = self.metadata.input.shape.clone();
        Exported { path: self.path, module: self.module, metadata: Some(self.metadata), input }
    }

    /// What the model says of itself.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where the model is.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The number of its trainable values.
    pub fn parameters(&self) -> Result<usize> {
        Ok(self.module.parameters()?.iter().map(|(_, values)| values.numel()).sum())
    }

    /// The number of the values in its parameters and buffers.
    pub fn values(&self) -> Result<usize> {
        Ok(self.module.state()?.iter().map(|(_, tensor)| tensor.numel()).sum())
    }

    /// The module.
    pub(crate) fn module(&self) -> &Module {
        &self.module
    }

    /// The same model, which from now on averages its probabilities over views of each picture.
    ///
    /// # Errors
    /// A model that takes no pictures.
    pub fn with_views(self, options: &ViewOptions) -> Result<Self> {
        let input = &self.metadata.input;
        Ok(Classifier { views: Views::new(options, &input.shape, input.value_range)?, ..self })
    }

    /// The same model, which from now on takes categories that it was not trained on, or refuses them.
    pub fn with_unknown(self, on_unknown: OnUnknown) -> Self {
        Classifier { on_unknown, ..self }
    }

    /// Makes the model ready for many calls: on a CPU, batch normalisation is folded into the convolutions, which takes as long as
    /// a few calls and the memory of their kernels a second time.
    ///
    /// From then on, [`Classifier::logits`] and all that is made of them differ from the file's own by rounding, some 10⁻⁶. A
    /// model of fewer bits or without convolutions, and one that would not give the same, stays as it is.
    pub fn optimize(&self) {
        if let Some(fast) = &self.fast {
            fast.optimize(&self.module, &self.metadata);
        }
    }

    /// Logits (N, classes) of raw inputs (N, …), uint8 or float; over several views, logarithms of mean probabilities.
    ///
    /// No gradients flow through them; on a CPU they are an inference tensor, which nothing can be written to.
    pub fn logits(&self, inputs: &Tensor) -> Result<Tensor> {
        match &self.views {
            Some(views) => tch::no_grad(|| {
                views.logits(&inputs.f_to_device(self.device)?, |inputs| self.forward(inputs))
            }),
            None => self.forward(inputs),
        }
    }

    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        let logits = match &self.fast {
            Some(fast) if inputs.device() == Device::Cpu => Some(fast.logits(inputs)?),
            _ => {
                let inputs = inputs.f_to_device(self.device)?;
                tch::no_grad(|| self.module.call("forward", &inputs))?.into_iter().next()
            }
        };
        let expected = [inputs.size().first().copied().unwrap_or(0), self.metadata.classes.len() as i64];
        logits.filter(|logits| logits.size() == expected).ok_or_else(|| {
            let problem = format!(
                "the model does not give one figure for each of the {} classes that its {METADATA} names; export it again",
                self.metadata.classes.len()
            );
            Error::artifact(&self.path, problem)
        })
    }

    /// Measures the model on labelled raw examples.
    pub fn evaluate(&self, feed: &dyn HeldOutFeed) -> Result<Evaluation> {
        guard(|| {
            let found =
                evaluate(feed, self.metadata.classes.len(), Keep::Scores, |inputs| self.logits(inputs))?;
            if !found.loss.is_finite() {
                let problem = "the model gives no number for some of the rows: their values are too large";
                return Err(Error::artifact(&self.path, problem));
            }
            Ok(found)
        })
    }

    /// Reads labelled examples that the model is to be measured on: a CSV file, or data in any other format. Gives what they
    /// are called, too.
    ///
    /// # Errors
    /// Examples that do not fit the model, or have no label, or one that is none of the model's classes.
    pub fn read_labelled(&self, path: &Path) -> Result<(Box<dyn HeldOutFeed>, Names)> {
        self.read_labelled_in(path, None)
    }

    /// The same where a list names images that are in the folder `images`.
    ///
    /// # Errors
    /// Likewise.
    pub fn read_labelled_in(
        &self,
        path: &Path,
        images: Option<&Path>,
    ) -> Result<(Box<dyn HeldOutFeed>, Names)> {
        let is_list = Channels::of(&self.metadata.input.shape).is_some()
            && path.is_file()
            && (images.is_some() || ImageList.recognises(path));
        let is_table = !is_list && path.is_file() && csv::Csv.recognises(path);
        // The labels are in the column that they were in for training.
        let label = self.metadata.config.get("label").and_then(|label| label.as_str());
        let options = DataOptions {
            image_size: self.image_size(),
            images: images.map(Path::to_path_buf),
            label: label.and_then(|label| label.parse().ok()).unwrap_or(ColumnChoice::Last),
            ..DataOptions::default()
        };
        if is_table || !FORMATS.iter().any(|format| format.recognises(path)) {
            let table = self.read_rows(path)?;
            let labels = Tensor::from_slice(&table.class_indexes(&self.metadata.classes)?);
            let inputs = self.tensor(&table);
            let names = Names::Lines { rows: table.rows, lines: table.lines };
            return Ok((self.in_memory(TensorDataset { inputs, labels }), names));
        }
        let mut dataset = format::of(path, &options)?.read(path, &options)?;
        let (own, shape) = (&self.metadata.input.shape, dataset.shape.clone());
        // Pictures are brought to the model's channels, whatever theirs are.
        if matches!(dataset.inputs, RawInputs::Images(_)) && Channels::of(own).is_some() {
            dataset.shape = own.clone();
        } else if shape != *own {
            let problem = format!("its examples are {shape}, but the model takes {own}");
            return Err(Error::data(path, problem));
        }
        dataset.depth = self.metadata.input.depth.or(dataset.depth);
        let dataset = dataset.with_classes(&self.metadata.classes)?;
        let rows: Vec<i64> = (0..dataset.rows() as i64).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let feed = match Gallery::of(&dataset, threads, options.max_bad_share) {
            Some(gallery) => Box::new(StreamHeldOut::new(&gallery, &rows, None, self.device)),
            None => self.in_memory(TensorDataset::of(&dataset, &rows, self.device)),
        };
        Ok((feed, dataset.names))
    }

    fn in_memory(&self, part: TensorDataset) -> Box<dyn HeldOutFeed> {
        let labels = part.labels.to_device(self.device);
        Box::new(InMemory::ready(TensorDataset { inputs: part.inputs, labels }))
    }

    fn image_size(&self) -> ImageSize {
        match Channels::of(&self.metadata.input.shape) {
            Some((_, height, width)) => ImageSize::Pixels(height, width),
            None => ImageSize::Auto,
        }
    }

    /// Reads a picture, or the rows of a CSV file (a label behind a row's values is passed over).
    pub fn read_inputs(&self, path: &Path) -> Result<Inputs> {
        if is_for_pictures(path, Channels::of(&self.metadata.input.shape).is_some()) {
            let range = self.metadata.input.value_range.unwrap_or(ValueRange { min: 0., max: 255. });
            let reader = InputReader::new(&self.metadata.input.shape, range);
            let reader = reader.map_err(|problem| Error::data(path, problem))?;
            let values = image::read_by(reader.with_depth(self.metadata.input.depth), path)?;
            let values = Tensor::from_slice(&values).view([1, -1]);
            return Ok(Inputs { places: vec![path.into()], values });
        }
        let table = self.read_rows(path)?;
        let places = (0..table.rows.len()).map(|row| table.place(row)).collect();
        Ok(Inputs { places, values: self.tensor(&table) })
    }

    /// The classes of each input in a file, the most probable one first: an image, or the rows of a CSV file.
    ///
    /// ```no_run
    /// use cresset::prelude::*;
    ///
    /// let classifier = Classifier::load("model.pt")?;
    /// for prediction in classifier.predict("photo.jpg")? {
    ///     let best = &prediction.predictions[0];
    ///     println!("{}: {} ({:.1} %)", prediction.input, best.class, 100. * best.probability);
    /// }
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A file that cannot be read or does not fit the model, and the first input whose probabilities are NaN.
    pub fn predict(&self, path: impl AsRef<Path>) -> Result<Vec<Prediction>> {
        self.predict_inputs(&self.read_inputs(path.as_ref())?, self.metadata.classes.len())
    }

    /// The `top_k` most probable classes of each input.
    ///
    /// # Errors
    /// The first input whose probabilities are NaN.
    pub fn predict_inputs(&self, inputs: &Inputs, top_k: usize) -> Result<Vec<Prediction>> {
        guard(|| {
            let probabilities = self.probabilities(&inputs.values)?;
            let rows = probabilities.chunks_exact(self.metadata.classes.len());
            let prediction = |(place, row): (&Place, &[f64])| {
                if row.iter().any(|probability| !probability.is_finite()) {
                    return Err(Error::data(place.clone(), NO_NUMBER));
                }
                let predictions = ranked(row, top_k.clamp(1, row.len()), &self.metadata.classes);
                Ok(Prediction { input: place.name(), predictions })
            };
            inputs.places.iter().zip(rows).map(prediction).collect()
        })
    }

    /// What the threads that read inputs need to know.
    pub fn taken(&self) -> Taken {
        let input = &self.metadata.input;
        Taken {
            shape: input.shape.clone(),
            range: input.value_range,
            depth: input.depth,
            images: None,
            layout: Arc::new(self.layout()),
            allowed: self.allowed(),
        }
    }

    fn allowed(&self) -> Allowed {
        Allowed { missing: self.metadata.preprocessing.fill.is_some(), unknown: self.on_unknown }
    }

    fn layout(&self) -> TableLayout {
        let input = &self.metadata.input;
        input.table.clone().unwrap_or_else(|| unnamed_columns(input.shape.features() as usize))
    }

    fn read_rows(&self, path: &Path) -> Result<Table> {
        let table = csv::read_rows(path, &self.layout(), self.allowed())?;
        if let Some(range) = self.metadata.input.value_range {
            table.check_range(range)?;
        }
        Ok(table)
    }

    fn tensor(&self, table: &Table) -> Tensor {
        Tensor::from_slice(&table.values)
            .view([table.rows.len() as i64, self.metadata.input.shape.features()])
    }
}

/// What is said of an input for which a model gives no number.
const NO_NUMBER: &str = "the model gives no number for this input: its values are too large";

/// The `top_k` most probable classes, the most probable first; of equals, the first of the classes.
pub fn ranked(probabilities: &[f64], top_k: usize, classes: &[String]) -> Vec<Ranked> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    let descending = |a: &usize, b: &usize| probabilities[*b].total_cmp(&probabilities[*a]).then(a.cmp(b));
    if top_k < order.len() {
        order.select_nth_unstable_by(top_k - 1, descending);
        order.truncate(top_k);
    }
    order.sort_unstable_by(descending);
    let ranked = |index: usize| Ranked { class: classes[index].clone(), probability: probabilities[index] };
    order.into_iter().map(ranked).collect()
}

/// The columns of a table for a model that was trained on none: as many numbers as an input has values.
fn unnamed_columns(features: usize) -> TableLayout {
    let column = |position: usize| Column {
        name: (position + 1).to_string(),
        position,
        kind: ColumnKind::Number,
        notation: Notation::Plain,
    };
    let columns = (0..features).map(column).collect();
    TableLayout { columns, width: features, ..TableLayout::default() }
}
