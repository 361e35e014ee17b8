//! The options of a run. Each is defined once, with its type, default, help and range. The command line, the run file
//! (`--config run.toml`), config.toml in the run folder and docs/commands.md derive from these definitions.

pub mod device;
pub(crate) mod entries;
mod file;
mod model;
mod plan;
mod portable;
mod provenance;
#[cfg(test)]
mod tests;
pub(crate) mod values;

use std::path::{Path, PathBuf};

use cresset_options::{Choice, OptionSet, flag, nested, option, options, parse};

use crate::data::{DataOptions, SplitMethod, SplitOptions};
use crate::error::{Error, Result};
use crate::evaluate::ood::OodScore;
use crate::loader::{ClassWeights, Sampling};
use crate::model::preprocessing::Normalization;
use crate::options::device::{DeviceChoice, Threads};
use crate::recipe::{AUTO, BUILT_IN, NONE};
use crate::train::TrainOptions;
use crate::train::optimizer::OPTIMIZERS;
use cresset_options::headings::{AUGMENTATION, DATA, EVALUATION, HARDWARE, MODEL, OPTIMIZATION};
pub(crate) use file::checked;
pub use file::{Setting, canonical};
pub use model::ModelChoice;
pub(crate) use model::OWN;
pub(crate) use portable::portable;
pub use provenance::Provenance;
use values::{augmentation, model};

options! {
    /// Options of a run.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// let config = Config { model: "cnn".into(), epochs: 30, lr: 0.003, ..Config::default() };
    /// assert_eq!((config.data.as_str(), config.batch_size), ("digits", 32));
    /// assert!(config.to_toml().contains("epochs = 30"));
    /// ```
    pub struct Config {
        /// Built-in dataset (`digits`), a file or folder of labelled examples, or a pattern of tables (`'part-*.csv'`)
        pub data: String = option("NAME|PATH").default("digits").not_empty().heading(DATA).essential(),

        /// How the data is read.
        pub reading: DataOptions = nested(),

        /// Recipe that sets the options that are not given: by the data, for all data but `digits` (`auto`), none, or the
        /// options of a built-in recipe
        pub recipe: String =
            option("NAME").default(AUTO).choices(recipes()).heading(OPTIMIZATION).essential(),

        /// Share of the data used for validation, stratified by class
        pub validation: f64 = option("SHARE")
            .default("0.2")
            .parser(parse::between_0_and_1)
            .aliases(&["held_out"])
            .heading(DATA)
            .essential(),

        /// Split of a table: `time:COLUMN` orders the rows by a column of numbers or dates. The newest rows are the test set, the rows before
        /// them the validation set, each with the share of --validation. With --user, `leave-one-out` puts the last choice of each user
        /// into the test set and the one before it into the validation set, by the order of the rows or, as `leave-one-out:COLUMN`, of
        /// a column [default: drawn at random, or the split of the data]
        pub split: Option<SplitMethod> = option("METHOD").heading(DATA),

        /// List of the training examples, one name per line as in a run's split.csv [default: the examples on no other list]
        pub train_list: Option<PathBuf> = option("FILE").not_empty().heading(DATA),

        /// List of the validation examples
        pub validation_list: Option<PathBuf> =
            option("FILE").not_empty().aliases(&["held_out_list"]).heading(DATA),

        /// List of the test examples, evaluated once after training
        pub test_list: Option<PathBuf> = option("FILE").not_empty().heading(DATA),

        /// Number of folds for k-fold cross-validation
        pub folds: Option<u32> = option("K").parser(parse::within(2..=1000)).heading(EVALUATION).essential(),

        /// Train only this fold of `--folds K` (from 1)
        pub fold: Option<u32> = option("N").parser(parse::within(1..=1000)).heading(EVALUATION),

        /// Train K models, each without one of K folds of the examples, and export them as one model whose probabilities are their
        /// mean. The models train side by side in one run. An example is validated by the model that was trained without it, so all
        /// examples are used for training and for validation. 0 trains a single model. The recipe trains a bag of 5 for tables with few rows
        pub bag: u32 = option("K").default("0").parser(parse::within(0..=100)).heading(EVALUATION).essential(),

        /// Prediction sets that contain the true class with this probability, calibrated on the validation set (conformal
        /// prediction): `predict`, `serve` and `predict_set` of the exported model return them. A set may be empty
        pub coverage: Option<f64> = option("SHARE").parser(parse::between_0_and_1).heading(EVALUATION),

        /// Flag inputs unlike the training data (out of distribution), by the energy of their logits or by --ood-score: `predict`,
        /// `serve` and `is_ood` of the exported model. The threshold, calibrated on the validation set, flags about this share of inputs like it
        pub ood: Option<f64> = option("SHARE").parser(parse::between_0_and_1).heading(EVALUATION),

        /// With --ood: what tells whether an input is unlike the training data
        pub ood_score: OodScore = option("SCORE").default("energy").heading(EVALUATION),

        /// Augmentation of training images: `none`, `digits`, `photos`, or transforms separated by commas, such as
        /// `flip,crop=4`; `cresset data preview` shows them
        pub augment: String =
            option("CHANGES").default("none").parser(augmentation).heading(AUGMENTATION).essential(),

        /// Normalization: `data` (by the range of the values, or the mean and standard deviation of the training set); of tables,
        /// `quantiles` (those of each numeric column, mapped to a normal distribution); of images, `imagenet`, or means and standard
        /// deviations of values from 0 to 1, such as `0.5,0.5,0.5/0.25,0.25,0.25` [default: that of the weights of --pretrained,
        /// else data]
        pub normalization: Option<Normalization> = option("VALUES").heading(DATA),

        /// Share of the cells in categorical columns that are masked as unknown in each training epoch, so that the model
        /// learns to handle unseen categories. At 0, an unseen category is an error
        pub mask_categories: f64 =
            option("SHARE").default("0.02").parser(parse::from_0_below_1).heading(AUGMENTATION),

        /// Sampling of the training examples in an epoch
        pub sampling: Sampling = option("METHOD").default("shuffled").heading(OPTIMIZATION),

        /// Batches of texts of similar length, which have little padding: the examples of each 50 batches are sorted by length, and
        /// these batches shuffled
        pub length_buckets: bool = flag().default("true").heading(OPTIMIZATION),

        /// Class weights of the loss function
        pub class_weights: ClassWeights = option("METHOD").default("equal").heading(OPTIMIZATION),

        /// Train on the corrections of a feedback set, too: a folder that `cresset serve --feedback` writes
        pub feedback: Option<PathBuf> = option("DIR").not_empty().heading(DATA),

        /// Number of times that each correction appears in an epoch [default: so that corrections are a fifth of the examples, at
        /// most 50]
        pub feedback_weight: Option<u32> = option("N").parser(parse::within(1..=1000)).heading(DATA),

        /// Use only the first N corrections of the feedback set [default: all]
        pub feedback_rows: Option<u32> = option("N").parser(parse::within(1..=u32::MAX)).heading(DATA),

        /// Train on corrections that contradict the training data or each other, instead of waiting for a second opinion
        pub accept_contradictions: Option<bool> = flag().heading(DATA),

        /// Model architecture (`cresset models` lists them), or a TorchScript file (`.pt`) to train
        pub model: String = option("NAME|FILE").default("mlp").parser(model).heading(MODEL).essential(),

        /// Options of the architecture, such as `width=64,dropout=0.2`; `cresset models` lists them
        pub model_options: String = option("OPTIONS").default("").heading(MODEL),

        /// Initialize the weights from a file, as far as they match: safetensors, a checkpoint, TorchScript, a torch.export
        /// package, ONNX or a PyTorch state_dict
        pub init: Option<PathBuf> = option("FILE").not_empty().heading(MODEL),

        /// Initialize the model with pretrained weights: a model of the Hugging Face hub such as timm/resnet18.a1_in1k, downloaded
        /// if necessary (`cresset models --pretrained` lists some), or a local file or folder; for texts, an encoder such as
        /// sentence-transformers/all-MiniLM-L6-v2. Model, image size, normalization and tokenizer are those of the weights, unless they
        /// are given
        pub pretrained: Option<String> =
            option("NAME|PATH").not_empty().conflicts_with("init").heading(MODEL).essential(),

        /// Prefix of the weights in the file of --init or --pretrained if it holds several copies, such as `teacher` or `state_dict.model`
        /// [default: the copy that matches best; of equal ones, an exponential moving average or a teacher]
        pub init_key: Option<String> = option("PREFIX").heading(MODEL),

        /// Keep the random initialization of the last layer even if the file of --init or --pretrained has it, for other classes
        pub fresh_head: bool = flag().default("false").heading(MODEL),

        /// Train only low-rank adapters (LoRA) of this rank on the queries and values of a pretrained text encoder, and the last layer.
        /// In the exported model, they are part of the weights
        pub lora: Option<u32> = option("RANK").parser(parse::within(1..=1024)).heading(MODEL),

        /// Learn the probabilities of another classifier, too (knowledge distillation): the folder of a finished run, or a model
        /// file, with the same classes. A teacher of texts may have other tokens, such as those of a pretrained encoder
        pub teacher: Option<PathBuf> = option("RUN|FILE").not_empty().heading(MODEL),

        /// With --teacher: texts without labels, of which the student learns the teacher's probabilities alone: a table with the
        /// columns of the texts, or a folder of .txt or .eml files. They are part of the training set, never of the validation or test set
        pub unlabelled: Option<PathBuf> = option("PATH").not_empty().heading(DATA),

        /// With --teacher: temperature of the softmax
        pub temperature: f64 = option("T").default("4").parser(parse::positive).heading(OPTIMIZATION),

        /// With --teacher: weight of its loss; the loss of the labels has the rest
        pub teacher_share: f64 =
            option("SHARE").default("0.7").parser(parse::from_0_to_1).heading(OPTIMIZATION),

        /// Number of epochs
        pub epochs: u32 =
            option("N").default("10").parser(parse::within(1..=u32::MAX)).heading(OPTIMIZATION).essential(),

        /// Batch size, per process
        pub batch_size: u32 =
            option("N").default("32").parser(parse::within(1..=u32::MAX)).heading(OPTIMIZATION).essential(),

        /// Learning rate
        pub lr: f64 = option("RATE").default("0.001").parser(parse::positive).heading(OPTIMIZATION).essential(),

        /// Optimizer
        pub optimizer: String = option("NAME")
            .default("adam")
            .choices(OPTIMIZERS.iter().map(|optimizer| Choice::new(optimizer.name, optimizer.summary)))
            .heading(OPTIMIZATION)
            .essential(),

        /// Other options of training.
        pub training: TrainOptions = nested(),

        /// Random seed; the same seed, data and thread count give the same model
        pub seed: u64 = option("N").default("0").heading(OPTIMIZATION).essential(),

        /// Device: `auto`, `cpu`, `cuda` or `cuda:N`
        pub device: DeviceChoice = option("DEVICE").default("auto").heading(HARDWARE).essential(),

        /// CPU threads: `auto` or a number
        pub threads: Threads = option("N").default("auto").heading(HARDWARE),

        /// Where the values come from.
        pub provenance: Provenance = nested(),
    }
}

impl Config {
    /// The options of a run file, with defaults for those that it leaves out.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("run.toml");
    /// std::fs::write(&path, "data = \"iris\"\nlr = 0.01\nepoch = 5\n").unwrap();
    /// let error = Config::read(&path).unwrap_err().to_string();
    /// assert!(error.contains("line 3") && error.contains("did you mean `epochs`"));
    /// ```
    ///
    /// # Errors
    /// An unreadable file, invalid TOML, unknown options, and values out of range, each with its line.
    pub fn read(path: &Path) -> Result<Self> {
        Config::overlay(Some(path), &[])
    }

    /// The options that were `given`, over those of a run file, over the defaults.
    ///
    /// ```
    /// use cresset::options::Setting;
    /// use cresset::prelude::*;
    ///
    /// let given = [Setting { name: "epochs", value: "30".to_string() }];
    /// let config = Config::overlay(None, &given)?;
    /// assert_eq!((config.epochs, config.batch_size), (30, 32));
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Config::read`], and invalid settings.
    pub fn overlay(file: Option<&Path>, given: &[Setting]) -> Result<Self> {
        let mut settings = file.map(file::settings).transpose()?.unwrap_or_default();
        settings.extend_from_slice(given);
        Config::of(&settings).map_err(Error::Usage)
    }

    /// The options that have these values, and the defaults of others. Of an option that comes twice, the last one counts.
    ///
    /// ```
    /// use cresset::options::Setting;
    /// use cresset::prelude::*;
    ///
    /// let settings = ["10", "30"].map(|value| Setting { name: "epochs", value: value.to_string() });
    /// assert_eq!(Config::of(&settings)?.epochs, 30);
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    /// The first unknown option or invalid value.
    pub fn of(settings: &[Setting]) -> std::result::Result<Self, String> {
        let mut config = Config::default();
        settings.iter().try_for_each(|setting| config.set(setting.name, &setting.value))?;
        config.provenance.given = settings.iter().map(|setting| setting.name).collect();
        Ok(config)
    }

    /// The plan for splitting the data.
    ///
    /// # Errors
    /// If `fold` is not one of the folds.
    pub(crate) fn split_plan(&self) -> Result<SplitOptions> {
        let fold = match (self.fold, self.folds) {
            (None, _) => None,
            (Some(fold), Some(folds)) if fold <= folds => Some((fold, folds)),
            (Some(fold), folds) => {
                let of = folds.map_or("without --folds".to_string(), |folds| format!("of --folds {folds}"));
                return Err(Error::Usage(format!("--fold {fold} {of}: the fold does not exist")));
            }
        };
        Ok(SplitOptions {
            share: self.validation,
            fold,
            bag: (self.bag > 0).then_some(self.bag),
            train_list: self.train_list.clone(),
            validation_list: self.validation_list.clone(),
            test_list: self.test_list.clone(),
            method: self.split_method()?,
            seed: self.seed,
        })
    }

    /// The method of `--split`.
    ///
    /// # Errors
    /// Another option that splits the data.
    fn split_method(&self) -> Result<Option<SplitMethod>> {
        let Some(method) = &self.split else { return Ok(None) };
        let others = [
            ("train-list", self.train_list.is_some()),
            ("validation-list", self.validation_list.is_some()),
            ("test-list", self.test_list.is_some()),
            ("folds", self.folds.is_some()),
            ("bag", self.bag > 0),
            ("group", self.reading.group.is_some()),
        ];
        match others.iter().find(|(_, is_set)| *is_set) {
            Some((other, _)) => Err(Error::Usage(format!(
                "--split {method} and --{other} both split the data; use one of them"
            ))),
            None => Ok(Some(method.clone())),
        }
    }

    /// The options that have a value, as (name, value), in the order of their definition.
    ///
    /// ```
    /// use cresset::prelude::*;
    ///
    /// let entries = Config::default().entries();
    /// assert_eq!(entries[0], ("data", "digits".into()));
    /// assert!(entries.contains(&("batch_size", 32.into())));
    /// ```
    pub fn entries(&self) -> Vec<(&'static str, toml::Value)> {
        OptionSet::entries(self)
    }

    /// The options as a run file.
    pub fn to_toml(&self) -> String {
        self.entries().into_iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
    }
}

/// The values of `--recipe`.
fn recipes() -> Vec<Choice> {
    let own = [
        Choice::new(AUTO, "chosen by kind, size and classes of the data and by the device"),
        Choice::new(NONE, "the default of each option"),
    ];
    own.into_iter().chain(BUILT_IN.iter().map(|recipe| Choice::new(recipe.name, recipe.summary))).collect()
}

/// The names of all options, in the order of their definition.
///
/// ```
/// assert!(cresset::options::names().any(|name| name == "weight_decay"));
/// ```
pub fn names() -> impl Iterator<Item = &'static str> {
    Config::specs().map(|spec| spec.name)
}

/// Options that, besides the seed, determine the split of the data. Runs that differ in them cannot be compared.
pub(crate) const SPLIT_OPTIONS: [&str; 22] = [
    "data",
    "format",
    "label",
    "user",
    "item",
    "user_table",
    "item_table",
    "rating",
    "min_rating",
    "ignore",
    "missing",
    "group",
    "exclude",
    "images",
    "validation",
    "split",
    "train_list",
    "validation_list",
    "test_list",
    "folds",
    "fold",
    "bag",
];

/// An option that older versions did not have. Their runs do not handle unknown categories.
pub(crate) const MASK_CATEGORIES: &str = "mask_categories";

/// The table in a run folder's config.toml with versions and the fingerprint of the data, which are not options.
pub const RECORD: &str = "record";
