//! Reads labeled examples for the evaluation of a model.

use std::path::Path;

use super::Classifier;
use crate::data::column_choice::ColumnChoice;
use crate::data::format::csv::{self, LabeledRows, RowsOfModel};
use crate::data::format::listed::ImageList;
use crate::data::format::text_folder;
use crate::data::format::{self, FORMATS, Format};
use crate::data::image::Channels;
use crate::data::options::ImageSize;
use crate::data::{DataOptions, Inputs as RawInputs, Names};
use crate::error::{Error, Result};
use crate::loader::{
    EncodedExamples, EvaluationLoader, MemoryExamples, StoredEvaluationLoader, StoredExamples,
    StreamEvaluationLoader,
};
use crate::model::preprocessing::{TensorDataset, target_tensor};

/// The values of labeled rows that may be in memory, unless it is set.
pub(super) const VALUES_IN_MEMORY: usize = 1 << 24;

impl Classifier {
    /// Reads labeled examples for evaluation from a CSV file or any other data format, and the names of the examples.
    ///
    /// # Errors
    /// Examples that do not match the model's input, have no label, or have a label that is not one of the model's classes.
    pub fn read_labeled(&self, path: &Path) -> Result<(Box<dyn EvaluationLoader>, Names)> {
        self.read_labeled_from(path, None)
    }

    /// Like [`Classifier::read_labeled`], for a list of images in the folder `images`.
    ///
    /// # Errors
    /// As [`Classifier::read_labeled`].
    pub fn read_labeled_from(
        &self,
        path: &Path,
        images: Option<&Path>,
    ) -> Result<(Box<dyn EvaluationLoader>, Names)> {
        let is_list = Channels::of(&self.metadata.input.shape).is_some()
            && path.is_file()
            && (images.is_some() || ImageList.recognizes(path));
        let is_table = !is_list && path.is_file() && csv::Csv.recognizes(path);
        // Use the label column of the training data.
        let label = self.metadata.config.get("label").and_then(|label| label.as_str());
        let options = DataOptions {
            image_size: self.image_size(),
            images: images.map(Path::to_path_buf),
            label: label.and_then(|label| label.parse().ok()).unwrap_or(ColumnChoice::Last),
            task: Some(self.metadata.outputs.task()),
            labels: self.metadata.config.get("labels").and_then(|labels| labels.as_str()).map(String::from),
            ..DataOptions::default()
        };
        if is_table || !FORMATS.iter().any(|format| format.recognizes(path)) {
            return self.read_labeled_rows(path);
        }
        let mut dataset = match &self.metadata.input.table {
            Some(layout) if layout.is_text() && path.is_dir() => text_folder::read_for(path, layout)?,
            _ => format::read(path, &options)?,
        };
        let (expected, shape) = (&self.metadata.input.shape, dataset.shape.clone());
        // Images are converted to the number of channels of the model.
        if matches!(dataset.inputs, RawInputs::Images(_)) && Channels::of(expected).is_some() {
            dataset.shape = expected.clone();
        } else if shape != *expected {
            let problem = format!("its examples are {shape}, but the model takes {expected}");
            return Err(Error::data(path, problem));
        }
        dataset.decoding = self.metadata.input.decoding.with_depth_of(dataset.decoding);
        let dataset = dataset.with_classes(&self.metadata.classes)?;
        let rows: Vec<i64> = (0..dataset.rows() as i64).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let feed = match EncodedExamples::of(&dataset, threads, options.max_bad_share) {
            Some(gallery) => Box::new(StreamEvaluationLoader::new(&gallery, &rows, None, self.device)),
            None => self.in_memory(TensorDataset::of(&dataset, &rows, self.device)),
        };
        Ok((feed, dataset.names))
    }

    fn read_labeled_rows(&self, path: &Path) -> Result<(Box<dyn EvaluationLoader>, Names)> {
        let (task, classes) = (self.metadata.outputs.task(), &self.metadata.classes);
        let model = RowsOfModel {
            layout: &self.layout(),
            allowed: self.allowed(),
            range: self.metadata.input.value_range,
            task,
            classes,
            in_memory: self.values_in_memory,
        };
        let table = match LabeledRows::read(path, &model)? {
            LabeledRows::Table(table) => *table,
            LabeledRows::Stored { rows, targets, names } => {
                let examples = StoredExamples::new(rows, targets, classes.len());
                let feed = StoredEvaluationLoader::of_all(&examples, self.device);
                return Ok((Box::new(feed), Names::Stored(names)));
            }
        };
        let labels = table.labels_for(task, classes)?;
        let labels = target_tensor(&labels.targets, &labels.labels, classes.len());
        let inputs = self.tensor(&table);
        let names = Names::Lines { rows: table.rows, lines: table.lines };
        Ok((self.in_memory(TensorDataset { inputs, labels }), names))
    }

    fn in_memory(&self, part: TensorDataset) -> Box<dyn EvaluationLoader> {
        let labels = part.labels.to_device(self.device);
        Box::new(MemoryExamples::ready(TensorDataset { inputs: part.inputs, labels }))
    }

    fn image_size(&self) -> ImageSize {
        match Channels::of(&self.metadata.input.shape) {
            Some((_, height, width)) => ImageSize::Pixels(height, width),
            None => ImageSize::Auto,
        }
    }
}
