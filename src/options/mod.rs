//! The options of a run: each defined once, with its type, default, help and validation. The command line, the run file
//! (`--config run.toml`) and the record in the run folder are all made from this one struct.

pub mod device;
pub(crate) mod entries;
mod file;
mod model;
mod portable;
pub(crate) mod values;

use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::data::{DataOptions, SplitPlan};
use crate::error::{Error, Result};
use crate::loader::{ClassWeights, Sampling};
use crate::options::device::{DeviceChoice, Threads};
use crate::train::TrainOptions;
use crate::train::optimizer::OPTIMIZERS;
pub(crate) use file::checked;
use file::file_arguments;
pub use model::ModelChoice;
pub(crate) use portable::portable;
use values::{
    augmentation, model, named, open_unit_interval, path, positive, share_below_1, whole, whole_above_0,
    yes_or_no,
};

/// Everything that decides how a run goes.
#[derive(Debug, Clone, PartialEq, Args)]
#[command(next_help_heading = "Options of the run (each may stand in the run file, as `batch_size = 32`)")]
pub struct Config {
    /// What to train on: `digits`, or a file or folder of labelled examples
    #[arg(long, value_name = "NAME|PATH", default_value = "digits", value_parser = NonEmptyStringValueParser::new())]
    pub data: String,

    /// How the data is read.
    #[command(flatten)]
    pub reading: DataOptions,

    /// Share of the rows that is held out to measure the model, drawn class by class
    #[arg(long, value_name = "SHARE", default_value = "0.2", value_parser = open_unit_interval, allow_negative_numbers = true)]
    pub held_out: f64,

    /// List of the examples to train on, a name a line as in a run's split.csv [default: those on no list]
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub train_list: Option<PathBuf>,

    /// List of the examples to hold out
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub held_out_list: Option<PathBuf>,

    /// List of the examples to measure the finished model on, once
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub test_list: Option<PathBuf>,

    /// Cross-validate: train so many models, each measured on the part that it did not see
    #[arg(long, value_name = "K", value_parser = value_parser!(u32).range(2..=1000), allow_negative_numbers = true)]
    pub folds: Option<u32>,

    /// Train one model of the K of `--folds K`, the one that is measured on this part (from 1)
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1000), allow_negative_numbers = true)]
    pub fold: Option<u32>,

    /// Random changes of the pictures that are trained on: `none`, `digits`, `photos`, or names with commas between them,
    /// such as `flip,crop=4`; `cresset data preview` shows them
    #[arg(long, value_name = "CHANGES", default_value = "none", value_parser = augmentation)]
    pub augment: String,

    /// Share of the cells in a table's columns of text that count as unknown while training, drawn anew for each epoch: so
    /// the model learns what to make of a category that it has never seen. At 0, such a row is an error
    #[arg(long, value_name = "SHARE", default_value = "0.02", value_parser = share_below_1, allow_negative_numbers = true)]
    pub mask_categories: f64,

    /// How the examples of an epoch are drawn
    #[arg(long, value_name = "WAY", default_value = "shuffled")]
    pub sampling: Sampling,

    /// How much the examples of each class count in the loss
    #[arg(long, value_name = "WAY", default_value = "equal")]
    pub class_weights: ClassWeights,

    /// Train on corrections, too: the folder of a feedback set, as `cresset serve --feedback` writes it
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub feedback: Option<PathBuf>,

    /// How often each correction stands among the examples of an epoch [default: so often that they are a fifth, 50 times at most]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1000), allow_negative_numbers = true)]
    pub feedback_weight: Option<u32>,

    /// Take the first N corrections of the set, which may grow [default: all]
    #[arg(long, value_name = "N", value_parser = whole_above_0, allow_negative_numbers = true)]
    pub feedback_rows: Option<u32>,

    /// Train on corrections that contradict the training data or each other, too, instead of waiting for a second opinion
    #[arg(long, value_name = "YES", default_missing_value = "true", num_args = 0..=1, value_parser = yes_or_no)]
    pub accept_contradictions: Option<bool>,

    /// Architecture of the model (`cresset models` lists them), or a TorchScript file (`.pt`), which is trained as it is
    #[arg(long, value_name = "NAME|FILE", default_value = "mlp", value_parser = model)]
    pub model: String,

    /// Options of the architecture, such as `width=64,dropout=0.2`; `cresset models` lists them
    #[arg(long, value_name = "OPTIONS", default_value = "")]
    pub model_options: String,

    /// Start from the weights of a file instead of random ones, as far as they fit: safetensors, a checkpoint, an exported
    /// model.pt or any TorchScript file, a state_dict of PyTorch (.pt, .pth)
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub init: Option<PathBuf>,

    /// The copy of the weights to take from the file of --init, if it holds several: what stands before the model's names there, such
    /// as `teacher` or `state_dict.model` [default: the copy that fits best; of equals, an average of weights (EMA) or a teacher]
    #[arg(long, value_name = "PREFIX")]
    pub init_key: Option<String>,

    /// Leave the last layer as it was drawn, although the file has it: its classes are others
    #[arg(long, value_name = "YES", default_value = "false", default_missing_value = "true", num_args = 0..=1, value_parser = yes_or_no)]
    pub fresh_head: bool,

    /// Passes over the training data
    #[arg(long, value_name = "N", default_value = "10", value_parser = whole_above_0, allow_negative_numbers = true)]
    pub epochs: u32,

    /// Rows a training step
    #[arg(long, value_name = "N", default_value = "32", value_parser = whole_above_0, allow_negative_numbers = true)]
    pub batch_size: u32,

    /// Learning rate
    #[arg(long, value_name = "RATE", default_value = "0.001", value_parser = positive, allow_negative_numbers = true)]
    pub lr: f64,

    /// Rule that turns gradients into steps
    #[arg(long, value_name = "NAME", default_value = "adam", value_parser = named(OPTIMIZERS.iter().map(|o| (o.name, o.summary))))]
    pub optimizer: String,

    /// How training goes about it.
    #[command(flatten)]
    pub training: TrainOptions,

    /// Seed of every random choice; the same seed, data and thread count give the same model
    #[arg(long, value_name = "N", default_value = "0", value_parser = whole, allow_negative_numbers = true)]
    pub seed: u64,

    /// Where to compute: `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,

    /// CPU threads: `auto` or a number
    #[arg(long, value_name = "N", default_value = "auto", allow_negative_numbers = true)]
    pub threads: Threads,
}

impl Default for Config {
    fn default() -> Self {
        Config::from_arguments(&[])
    }
}

impl Config {
    /// The options of a run file, with defaults for those that it leaves out.
    ///
    /// # Errors
    /// An unreadable file, TOML that is none, unknown options, and values out of range, each with its line.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Config::from_arguments(&file_arguments(path)?))
    }

    /// The options of the command line `flags`, over those of the run file, over the defaults.
    ///
    /// `flags` are the matches of a command that [`Config`]'s arguments belong to.
    pub fn overlay(file: Option<&Path>, flags: &ArgMatches) -> Result<Self> {
        let mut arguments = file.map(file_arguments).transpose()?.unwrap_or_default();
        arguments.extend(given_arguments(flags));
        Ok(Config::from_arguments(&arguments))
    }

    /// The options that have a value, as (name, value), in the order of their definition.
    pub fn entries(&self) -> Vec<(&'static str, toml::Value)> {
        let mut entries: Vec<(_, toml::Value)> = vec![("data", self.data.clone().into())];
        entries.extend(self.reading.entries());
        entries.push(("held_out", self.held_out.into()));
        let lists = [
            ("train_list", &self.train_list),
            ("held_out_list", &self.held_out_list),
            ("test_list", &self.test_list),
        ];
        let named = |(name, list): (_, &Option<PathBuf>)| {
            list.as_ref().map(|list| (name, list.to_string_lossy().into_owned().into()))
        };
        entries.extend(lists.into_iter().filter_map(named));
        entries.extend(self.folds.map(|folds| ("folds", i64::from(folds).into())));
        entries.extend(self.fold.map(|fold| ("fold", i64::from(fold).into())));
        entries.extend([
            ("augment", self.augment.clone().into()),
            (MASK_CATEGORIES, self.mask_categories.into()),
            ("sampling", self.sampling.to_string().into()),
            ("class_weights", self.class_weights.to_string().into()),
        ]);
        entries.extend(named(("feedback", &self.feedback)));
        entries.extend(self.feedback_weight.map(|weight| ("feedback_weight", i64::from(weight).into())));
        entries.extend(self.feedback_rows.map(|rows| ("feedback_rows", i64::from(rows).into())));
        entries.extend(self.accept_contradictions.map(|yes| ("accept_contradictions", yes.into())));
        entries.extend([
            ("model", self.model.clone().into()),
            ("model_options", self.model_options.clone().into()),
        ]);
        entries.extend(self.init.as_ref().map(|file| ("init", file.to_string_lossy().into_owned().into())));
        entries.extend(self.init_key.as_ref().map(|key| ("init_key", key.clone().into())));
        entries.extend([
            ("fresh_head", self.fresh_head.into()),
            ("epochs", i64::from(self.epochs).into()),
            ("batch_size", i64::from(self.batch_size).into()),
            ("lr", self.lr.into()),
            ("optimizer", self.optimizer.clone().into()),
        ]);
        entries.extend(self.training.entries());
        entries.extend([
            // TOML's integers end at 2^63 - 1; a larger seed is written as a string, which is read back all the same.
            ("seed", i64::try_from(self.seed).map_or_else(|_| self.seed.to_string().into(), Into::into)),
            ("device", self.device.to_string().into()),
            ("threads", self.threads.to_string().into()),
        ]);
        entries
    }

    /// How the options say that the data is to be split.
    ///
    /// # Errors
    /// A fold that is none of the folds.
    pub fn split_plan(&self) -> Result<SplitPlan> {
        let fold = match (self.fold, self.folds) {
            (None, _) => None,
            (Some(fold), Some(folds)) if fold <= folds => Some((fold, folds)),
            (Some(fold), folds) => {
                let of = folds.map_or("without --folds".to_string(), |folds| format!("of --folds {folds}"));
                return Err(Error::Usage(format!("--fold {fold} {of}: there is no such fold")));
            }
        };
        Ok(SplitPlan {
            share: self.held_out,
            fold,
            train_list: self.train_list.clone(),
            held_out_list: self.held_out_list.clone(),
            test_list: self.test_list.clone(),
            seed: self.seed,
        })
    }

    /// The options as a run file.
    pub fn to_toml(&self) -> String {
        self.entries().into_iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
    }

    /// The options of arguments that were each found valid ([`checked`]), over the defaults. Of an option that comes twice, the last
    /// one counts.
    pub(crate) fn from_arguments(arguments: &[String]) -> Self {
        let matches = command().try_get_matches_from(arguments).expect("each argument is valid");
        Config::from_arg_matches(&matches).expect("each argument is valid")
    }
}

/// The names of the options that `flags` give a value on the command line.
pub fn given(flags: &ArgMatches) -> Vec<String> {
    names().into_iter().filter(|id| flags.value_source(id) == Some(ValueSource::CommandLine)).collect()
}

/// The names of all options, in the order of their definition.
pub fn names() -> Vec<String> {
    command().get_arguments().map(|option| option.get_id().to_string()).collect()
}

fn given_arguments(flags: &ArgMatches) -> Vec<String> {
    let value = |id: &String| {
        flags.get_raw(id).and_then(|mut raw| raw.next()).map(|v| v.to_string_lossy().into_owned())
    };
    given(flags).iter().filter_map(|id| Some(argument(id, &value(id)?))).collect()
}

/// Options that decide which rows a run is trained and measured on, beside the seed: runs that differ in them cannot be compared.
pub const DECIDE_THE_ROWS: [&str; 14] = [
    "data",
    "format",
    "label",
    "ignore",
    "missing",
    "group",
    "exclude",
    "images",
    "held_out",
    "train_list",
    "held_out_list",
    "test_list",
    "folds",
    "fold",
];

/// The option without which older versions trained: their runs know no unknown categories.
pub(crate) const MASK_CATEGORIES: &str = "mask_categories";

/// The table of a run folder's config.toml that is not options but notes: versions, fingerprint of the data.
pub const RECORD: &str = "record";

fn command() -> Command {
    let command =
        Command::new("run file").no_binary_name(true).args_override_self(true).disable_help_flag(true);
    Config::augment_args(command)
}

fn argument(name: &str, value: &str) -> String {
    format!("--{}={value}", name.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::options::ColumnChoice;
    use crate::train::ChannelsLast;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn every_option_is_among_the_entries() {
        let mut config = Config::default();
        config.reading.ignore = Some("id".into());
        config.reading.group = Some(ColumnChoice::Number(2));
        config.reading.exclude = Some("list.tsv".into());
        config.reading.max_memory = Some(4.);
        config.reading.images = Some("images".into());
        config.reading.layout = Some(crate::data::options::ArrayLayout::Nhwc);
        config.train_list = Some("train.txt".into());
        config.held_out_list = Some("held-out.txt".into());
        config.test_list = Some("test.txt".into());
        (config.folds, config.fold) = (Some(5), Some(1));
        config.feedback = Some("feedback".into());
        (config.feedback_weight, config.feedback_rows) = (Some(2), Some(9));
        config.accept_contradictions = Some(true);
        config.init = Some("start.pth".into());
        config.init_key = Some("teacher".into());
        config.training.clip = Some(1.);
        (config.training.patience, config.training.max_minutes) = (Some(3), Some(5.));
        let entries: Vec<_> = config.entries().into_iter().map(|(name, _)| name.to_string()).collect();
        let options: Vec<_> = command().get_arguments().map(|option| option.get_id().to_string()).collect();
        assert_eq!(entries, options);
    }

    #[test]
    fn a_run_of_an_older_version_masks_no_categories() {
        assert_eq!(read("lr = 0.1\n").unwrap().mask_categories, 0.02);
        assert_eq!(read("lr = 0.1\n[record]\ncresset = \"0.1.0\"\n").unwrap().mask_categories, 0.);
        assert_eq!(read("mask_categories = 0.1\n[record]\na = 1\n").unwrap().mask_categories, 0.1);
        assert!(read("mask_categories = 1\n").unwrap_err().to_string().contains("from 0 to below 1"));
    }

    #[test]
    fn an_unknown_option_names_its_line_and_the_nearest_one() {
        let text = read("lr = 0.1\nepoch = 3\n").unwrap_err().to_string();
        assert!(text.contains("run.toml, line 2: unknown option `epoch`; did you mean `epochs`?"), "{text}");
    }

    #[test]
    fn a_bad_value_names_its_line_and_the_valid_ones() {
        let text = read("\nmodel = \"mlpp\"\n").unwrap_err().to_string();
        assert!(text.contains("line 2: invalid value `mlpp` for `model`: it is one of mlp, cnn, "), "{text}");
        let text = read("lr = -1\n").unwrap_err().to_string();
        assert!(text.contains("line 1") && text.contains("a number above 0"), "{text}");
    }

    #[test]
    fn broken_toml_names_its_line() {
        let text = read("lr = 0.1\nseed = = 3\n").unwrap_err().to_string();
        assert!(text.contains("run.toml, line 2, column 8: this is no TOML: "), "{text}");
    }

    #[test]
    fn text_that_is_not_utf8_names_its_line_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, b"lr = 0.1\ndata = \"\xc3\xbc\xff\"\n").unwrap();
        let text = Config::read(&path).unwrap_err().to_string();
        assert!(text.contains("run.toml, line 2, column 10: the text is not UTF-8"), "{text}");
    }

    #[test]
    fn a_layout_of_memory_that_was_yes_or_no_still_reads_and_is_written_so() {
        for (text, expected) in [
            ("channels_last = true", ChannelsLast::Yes),
            ("channels_last = false", ChannelsLast::No),
            ("channels_last = \"auto\"", ChannelsLast::Auto),
            ("", ChannelsLast::Auto),
        ] {
            let config = read(text).unwrap();
            assert_eq!(config.training.channels_last, expected, "{text}");
            assert!(config.to_toml().contains(text));
        }
    }

    #[test]
    fn integers_mean_the_same_in_every_notation_of_toml() {
        for text in ["epochs = 16", "epochs = 0x10", "epochs = 0o20", "epochs = 0b1_0000", "epochs = +16"] {
            assert_eq!(read(text).unwrap().epochs, 16, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            data in "[a-z/._ \"'\\\\-]{1,20}", epochs in 1u32.., batch_size in 1u32.., seed: u64,
            lr in 1e-9f64..1e3, held_out in 0.01f64..0.99, threads in 1u16..=1024, gpu in 0usize..8,
        ) {
            let config = Config {
                data, epochs, batch_size, seed, lr, held_out,
                threads: Threads::Count(threads), device: DeviceChoice::Cuda(gpu), ..Config::default()
            };
            prop_assert_eq!(read(&config.to_toml()).unwrap(), config);
        }
    }
}
