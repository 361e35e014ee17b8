//! Inference with exported models.

mod catalog;
mod compiled;
mod drift;
mod embeddings;
pub mod explain;
mod input_spec;
mod labeled;
mod load;
mod many;
mod output;
mod prediction;
mod recommend;
mod sources;
mod stream;
mod text_reader;
mod views;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cresset_bridge::script::Module;
use tch::{Device, Tensor};

use crate::data::column::{Column, ColumnKind};
use crate::data::format::csv::{self, RowPolicy};
use crate::data::format::text_folder::is_text_file;
use crate::data::image::{Channels, InputReader};
use crate::data::notation::Notation;
use crate::data::unknown::UnknownPolicy;
use crate::data::{Table, TableLayout, TaskKind, ValueRange, image};
use crate::error::{Error, Location, Result, catch_panics};
use crate::evaluate::ood::OodScore;
use crate::evaluate::{Evaluation, Keep, evaluate};
use crate::export::{ExportedModel, MEMBERS, METADATA, Metadata};
use crate::loader::{Batch, EvaluationLoader};
use crate::model::executor::Executor;
use crate::model::layer::out_of_fold;
pub use catalog::Catalog;
use compiled::CompiledModel;
pub use input_spec::{Cell, Input, InputSpec, Notes};
pub use load::{exported, metadata};
pub use many::Summary;
pub use output::{Output, OutputOptions, PredictionWriter};
pub use prediction::{Prediction, Ranked, ranked};
pub use recommend::{Query, Recommendation, Recommender};
pub use sources::Sources;
use sources::is_read_as_image;
pub use stream::{Batching, ClassProbabilities, Classified, ClassifiedBatch, Scored, Stream};
pub use text_reader::TextReader;
pub use views::ViewOptions;
use views::Views;

/// A model loaded from `model.pt`, or from a torch.export package with its metadata.
///
/// ```
/// use cresset::prelude::*;
/// use tch::{Device, Kind, Tensor};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let classifier = Classifier::load(out.join("model.pt"))?;
/// assert_eq!(classifier.metadata().classes.len(), 3);
/// let logits = classifier.logits(&Tensor::zeros([2, 4], (Kind::Float, Device::Cpu)))?;
/// assert_eq!(logits.size(), [2, 3]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Classifier {
    path: PathBuf,
    /// The format as a noun with its article.
    format: &'static str,
    executor: Box<dyn Executor>,
    /// On a CPU, the compiled methods for inference without gradients.
    compiled: Option<CompiledModel>,
    device: Device,
    metadata: Metadata,
    views: Option<Views>,
    on_unknown: UnknownPolicy,
    /// The values of labeled rows that may be in memory.
    values_in_memory: usize,
    /// The contents of `verification.json`, if the file has it.
    recorded: Option<String>,
}

/// Raw inputs read from a file, with the location of each.
///
/// ```
/// use cresset::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// # let table = out.join("flowers.csv");
/// std::fs::write(&table, "5.1,3.5,1.4,0.2\n6.3,2.9,5.6,1.8\n").unwrap();
/// let inputs = fitted.classifier()?.read_inputs(&table)?;
/// assert_eq!(inputs.len(), 2);
/// for (location, values) in inputs.iter() {
///     assert!(location.line.is_some() && values.size() == [1, 4]);
/// }
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub struct Inputs {
    locations: Vec<Location>,
    values: Tensor,
}

impl Inputs {
    /// The number of inputs.
    pub fn len(&self) -> usize {
        self.locations.len()
    }

    /// Whether there are no inputs.
    pub fn is_empty(&self) -> bool {
        self.locations.is_empty()
    }

    /// Iterates over the inputs: the location of each and its raw values, (1, …).
    pub fn iter(&self) -> impl Iterator<Item = (&Location, Tensor)> {
        (0..).zip(&self.locations).map(|(row, location)| (location, self.values.narrow(0, row, 1)))
    }
}

impl Classifier {
    /// Converts the model for export to other formats.
    ///
    /// # Errors
    /// A model that is not TorchScript.
    pub fn into_exported(self) -> Result<ExportedModel> {
        self.module()?;
        let input = self.metadata.input.shape.clone();
        let module = self.executor.into_module().expect("it is a module");
        let record = self.recorded.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Ok(ExportedModel { path: self.path, module, metadata: Some(self.metadata), record, input })
    }

    /// The metadata of the model.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The device of the model.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The number of trainable parameters (elements).
    pub fn parameters(&self) -> Result<usize> {
        Ok(self.executor.counts()?.0)
    }

    /// The number of elements of all parameters and buffers.
    pub fn values(&self) -> Result<usize> {
        Ok(self.executor.counts()?.1)
    }

    /// The TorchScript module.
    ///
    /// # Errors
    /// A model of another format.
    pub(crate) fn module(&self) -> Result<&Module> {
        self.executor.module().ok_or_else(|| {
            let problem =
                format!("this needs a TorchScript file, such as model.pt, and the model is {}", self.format);
            Error::artifact(&self.path, problem)
        })
    }

    /// Whether gradients of the logits by the inputs can be computed: those of quantized models, of formats other than TorchScript, and of
    /// models of texts, whose inputs are token ids, cannot.
    pub fn has_gradients(&self) -> bool {
        let is_text = self.metadata.preprocessing.kind.is_tokens();
        self.executor.module().is_some() && !self.metadata.is_int8() && !is_text
    }

    /// Enables test-time augmentation: probabilities or numbers are averaged over augmented views of each image.
    ///
    /// ```
    /// use cresset::predict::ViewOptions;
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("digits").options(options).out(&out).fit()?;
    /// let options = ViewOptions { tta: "affine=5".to_string(), tta_views: 4 };
    /// let classifier = fitted.classifier()?.with_views(&options)?;
    /// let (examples, _names) = classifier.read_labeled("data/digits.csv".as_ref())?;
    /// assert!(classifier.evaluate(&*examples)?.accuracy() > 0.5);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A model whose inputs are not images.
    pub fn with_views(self, options: &ViewOptions) -> Result<Self> {
        let input = &self.metadata.input;
        Ok(Classifier { views: Views::new(options, &input.shape, input.value_range)?, ..self })
    }

    /// Sets whether categories that the model was not trained on are accepted or rejected.
    pub fn with_unknown(self, on_unknown: UnknownPolicy) -> Self {
        Classifier { on_unknown, ..self }
    }

    /// Sets the number of values of a table with labeled rows that may be in memory, 2²⁴ at first. More are stored in a file, in
    /// `cresset/tables` of the user's cache, while they are evaluated; the results are the same.
    pub fn with_values_in_memory(self, values_in_memory: usize) -> Self {
        Classifier { values_in_memory, ..self }
    }

    /// Optimizes the model for many calls: on a CPU, folds batch normalization into the convolutions. This takes about as long as
    /// a few calls, and a second copy of the convolution kernels in memory.
    ///
    /// Afterwards, logits and everything computed from them differ from those of the unoptimized model by rounding, about 10⁻⁶.
    /// Models in reduced precision or without convolutions, and models whose outputs would differ by more, stay unchanged.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("digits").options(options).out(&out).fit()?;
    /// let classifier = fitted.classifier()?;
    /// classifier.optimize();
    /// # let image = tch::Tensor::zeros([1, 64], (tch::Kind::Float, tch::Device::Cpu));
    /// assert_eq!(classifier.logits(&image)?.size(), [1, 10]);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn optimize(&self) {
        if let (Some(compiled), Some(module)) = (&self.compiled, self.executor.module()) {
            compiled.optimize(module, &self.metadata);
        }
    }

    /// Logits (N, classes) or numbers (N, 1) of raw inputs (N, …), uint8 or float. With test-time augmentation, the logarithm of the
    /// mean probabilities of classes; of a model that detects out-of-distribution inputs by their energy, shifted so that its energy
    /// is the mean energy of the views. Of labels, the logits of the mean probabilities; of numbers, the mean.
    ///
    /// The logits have no gradients. On a CPU they are an inference tensor, which cannot be modified in place.
    pub fn logits(&self, inputs: &Tensor) -> Result<Tensor> {
        match &self.views {
            Some(views) => tch::no_grad(|| {
                let raw = inputs.f_to_device(self.device)?;
                let outputs = &self.metadata.outputs;
                views.outputs(&raw, outputs, self.has_energies(), |inputs| self.forward(inputs))
            }),
            None => self.forward(inputs),
        }
    }

    fn has_energies(&self) -> bool {
        self.metadata.ood.is_some_and(|ood| ood.score == OodScore::Energy)
    }

    fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        let inputs = &self.metadata.preprocessing.trimmed(inputs);
        let logits = match &self.compiled {
            Some(compiled) if inputs.device() == Device::Cpu => {
                compiled.logits(inputs, &self.metadata.outputs)?
            }
            _ => self.executor.forward(&inputs.f_to_device(self.device)?)?,
        };
        let expected = [inputs.size().first().copied().unwrap_or(0), self.metadata.classes.len() as i64];
        if logits.size() == expected {
            return Ok(logits);
        }
        let problem = format!(
            "the model does not return one logit for each of the {} classes in its {METADATA}; export it again",
            self.metadata.classes.len()
        );
        Err(Error::artifact(&self.path, problem))
    }

    /// Logits or numbers (N, outputs) of a batch of raw examples. Those that a bag was trained on, in the folds of its run, are predicted by
    /// the members that were trained without them.
    ///
    /// # Errors
    /// A model that fails.
    pub(crate) fn batch_logits(&self, batch: &Batch) -> Result<Tensor> {
        match &batch.folds {
            Some(folds) => Ok(out_of_fold(&self.member_logits(&batch.inputs)?, folds)),
            None => self.logits(&batch.inputs),
        }
    }

    /// Logits or numbers of each member of a bag, (N, members, outputs), of raw inputs (N, …).
    ///
    /// # Errors
    /// A model that is not a bag, or not TorchScript.
    fn member_logits(&self, inputs: &Tensor) -> Result<Tensor> {
        let inputs = inputs.f_to_device(self.device)?;
        let results = tch::no_grad(|| self.module()?.call(MEMBERS, &inputs).map_err(Error::from))?;
        let none = || Error::artifact(&self.path, format!("its method {MEMBERS} returns an empty tuple"));
        results.into_iter().next().ok_or_else(none)
    }

    /// Evaluates the model on labeled raw examples. Examples that a bag was trained on, in the folds of its run, are evaluated by the
    /// members that were trained without them.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// # let table = out.join("flowers.csv");
    /// std::fs::write(&table, "5.1,3.5,1.4,0.2,setosa\n6.3,2.9,5.6,1.8,virginica\n").unwrap();
    /// let classifier = fitted.classifier()?;
    /// let (examples, names) = classifier.read_labeled(&table)?;
    /// assert_eq!(names.count(), 2);
    /// assert_eq!(classifier.evaluate(&*examples)?.rows(), 2);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn evaluate(&self, feed: &dyn EvaluationLoader) -> Result<Evaluation> {
        self.evaluate_counting(feed, &mut |_, _| Ok(()))
    }

    /// Like [`Classifier::evaluate`]. Calls `count` with the raw inputs and the logits of each batch.
    fn evaluate_counting(
        &self,
        feed: &dyn EvaluationLoader,
        count: &mut dyn FnMut(&Tensor, &Tensor) -> Result<()>,
    ) -> Result<Evaluation> {
        catch_panics(|| {
            let Metadata { outputs, classes, .. } = &self.metadata;
            let evaluation = evaluate(feed, outputs, classes.len(), Keep::Scores, |inputs| {
                let logits = self.logits(inputs)?;
                count(inputs, &logits)?;
                if feed.is_in_folds() { self.member_logits(inputs) } else { Ok(logits) }
            })?;
            if !evaluation.loss.is_finite() {
                let problem =
                    "the logits of some examples are NaN or infinite: their input values are too large";
                return Err(Error::artifact(&self.path, problem));
            }
            Ok(evaluation)
        })
    }

    /// Reads an image, or the rows of a CSV file (a label after the values of a row is ignored).
    pub fn read_inputs(&self, path: &Path) -> Result<Inputs> {
        if is_read_as_image(path, Channels::of(&self.metadata.input.shape).is_some()) {
            let range = self.metadata.input.value_range.unwrap_or(ValueRange { min: 0., max: 255. });
            let reader = InputReader::new(&self.metadata.input.shape, range);
            let reader = reader.map_err(|problem| Error::data(path, problem))?;
            let values = image::read_by(reader.with_decoding(self.metadata.input.decoding), path)?;
            let values = Tensor::from_slice(&values).view([1, -1]);
            return Ok(Inputs { locations: vec![path.into()], values });
        }
        let spec = self.input_spec();
        if spec.takes_texts() && is_text_file(path) {
            let values = Tensor::from_slice(&spec.text_file(path)?).view([1, -1]);
            return Ok(Inputs { locations: vec![path.into()], values });
        }
        let table = self.read_rows(path)?;
        let locations = (0..table.rows.len()).map(|row| table.location(row)).collect();
        Ok(Inputs { locations, values: self.tensor(&table) })
    }

    /// Classifies the inputs in a file: an image, or the rows of a CSV file. Each prediction lists all classes, the most probable
    /// first.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// # Trainer::new("digits").options(Config { epochs: 3, ..Config::default() }).out(&out).fit()?;
    /// # let image = out.join("digit.png");
    /// # image::GrayImage::new(8, 8).save(&image).unwrap();
    /// let classifier = Classifier::load(out.join("model.pt"))?;
    /// for prediction in classifier.predict(&image)? {
    ///     let best = &prediction.predictions[0];
    ///     println!("{}: {} ({:.1} %)", prediction.input, best.class, 100. * best.probability);
    ///     assert_eq!(prediction.predictions.len(), 10);
    /// }
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A file that cannot be read or does not match the model's input, and the first input whose probabilities are NaN.
    pub fn predict(&self, path: impl AsRef<Path>) -> Result<Vec<Prediction>> {
        self.predict_inputs(&self.read_inputs(path.as_ref())?, self.metadata.classes.len())
    }

    /// The `top_k` most probable classes of each input.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// # let table = out.join("flowers.csv");
    /// # std::fs::write(&table, "5.1,3.5,1.4,0.2\n").unwrap();
    /// let classifier = fitted.classifier()?;
    /// let inputs = classifier.read_inputs(&table)?;
    /// let best_two = &classifier.predict_inputs(&inputs, 2)?[0].predictions;
    /// assert!(best_two[0].probability >= best_two[1].probability);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// The first input whose probabilities are NaN.
    pub fn predict_inputs(&self, inputs: &Inputs, top_k: usize) -> Result<Vec<Prediction>> {
        catch_panics(|| {
            let prediction = |(location, scored): (&Location, std::result::Result<Scored, String>)| {
                let scored = scored.map_err(|problem| Error::data(location.clone(), problem))?;
                Ok(self.prediction(location.name(), &scored, top_k))
            };
            inputs.locations.iter().zip(self.classify_batch(&inputs.values)?).map(prediction).collect()
        })
    }

    /// The prediction from the outputs for an input.
    pub fn prediction(&self, input: String, scored: &Scored, top_k: usize) -> Prediction {
        Prediction::of(&self.metadata, input, scored, top_k)
    }

    /// The input specification, for the threads that read inputs.
    pub fn input_spec(&self) -> InputSpec {
        let input = &self.metadata.input;
        InputSpec {
            shape: input.shape.clone(),
            range: input.value_range,
            decoding: input.decoding,
            images: None,
            layout: Arc::new(self.layout()),
            allowed: self.allowed(),
        }
    }

    fn allowed(&self) -> RowPolicy {
        RowPolicy {
            missing: self.metadata.preprocessing.fill.is_some(),
            unknown: self.on_unknown,
            no_label: self.metadata.outputs.task() == TaskKind::Multilabel,
        }
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

/// The error of an input whose probabilities are NaN.
const NON_FINITE: &str = "the logits of this input are NaN or infinite: its values are too large";

/// The columns of a table for a model that was not trained on a table: one number for each feature.
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
