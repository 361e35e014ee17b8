//! The options of a run: each defined once, with its type, default, help and validation. The command line, the run file
//! (`--config run.toml`) and the record in the run folder are all made from this one struct.

use std::path::Path;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use toml::de::{DeTable, DeValue};

use crate::device::{DeviceChoice, Threads};
use crate::error::{Error, Place, Result, nearest};
use crate::{model, train};

/// Everything that decides how a run goes.
#[derive(Debug, Clone, PartialEq, Args)]
#[command(next_help_heading = "Options of the run (each may stand in the run file, as `batch_size = 32`)")]
pub struct Config {
    /// What to train on: `digits`, or a CSV file with a row an example and the label last
    #[arg(long, value_name = "NAME|FILE", default_value = "digits")]
    pub data: String,

    /// Share of the rows that is held out to measure the model, drawn class by class
    #[arg(long, value_name = "SHARE", default_value = "0.2", value_parser = open_unit_interval)]
    pub held_out: f64,

    /// Architecture of the model
    #[arg(long, value_name = "NAME", default_value = "mlp", value_parser = names(model::ARCHITECTURES.iter().map(|a| (a.name, a.summary))))]
    pub model: String,

    /// Passes over the training data
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: u32,

    /// Rows a training step
    #[arg(long, value_name = "N", default_value = "32", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,

    /// Learning rate
    #[arg(long, value_name = "RATE", default_value = "0.001", value_parser = positive)]
    pub lr: f64,

    /// Rule that turns gradients into steps
    #[arg(long, value_name = "NAME", default_value = "adam", value_parser = names(train::optimizer::OPTIMIZERS.iter().map(|o| (o.name, o.summary))))]
    pub optimizer: String,

    /// Seed of every random choice; the same seed, data and thread count give the same model
    #[arg(long, value_name = "N", default_value = "0")]
    pub seed: u64,

    /// Where to compute: `auto`, `cpu`, `cuda` or `cuda:N`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: DeviceChoice,

    /// CPU threads: `auto` or a number
    #[arg(long, value_name = "N", default_value = "auto")]
    pub threads: Threads,
}

impl Default for Config {
    fn default() -> Self {
        Config::from_arguments(&[]).expect("every default is valid")
    }
}

impl Config {
    /// The options of a run file, with defaults for those that it leaves out.
    ///
    /// # Errors
    /// An unreadable file, TOML that is none, unknown options, and values out of range, each with its line.
    pub fn read(path: &Path) -> Result<Self> {
        Config::from_arguments(&file_arguments(path)?)
    }

    /// The options of the command line `flags`, over those of the run file, over the defaults.
    ///
    /// `flags` are the matches of a command that [`Config`]'s arguments belong to.
    pub fn overlay(file: Option<&Path>, flags: &ArgMatches) -> Result<Self> {
        let mut arguments = file.map(file_arguments).transpose()?.unwrap_or_default();
        arguments.extend(given_arguments(flags));
        Config::from_arguments(&arguments)
    }

    /// The options as (name, value), in the order of their definition.
    pub fn entries(&self) -> Vec<(&'static str, toml::Value)> {
        let Config { data, held_out, model, epochs, batch_size, lr, optimizer, seed, device, threads } = self;
        vec![
            ("data", data.clone().into()),
            ("held_out", (*held_out).into()),
            ("model", model.clone().into()),
            ("epochs", i64::from(*epochs).into()),
            ("batch_size", i64::from(*batch_size).into()),
            ("lr", (*lr).into()),
            ("optimizer", optimizer.clone().into()),
            // TOML's integers end at 2^63 - 1; a larger seed is written as a string, which is read back all the same.
            ("seed", i64::try_from(*seed).map_or_else(|_| seed.to_string().into(), Into::into)),
            ("device", device.to_string().into()),
            ("threads", threads.to_string().into()),
        ]
    }

    /// The options as a run file.
    pub fn to_toml(&self) -> String {
        self.entries().into_iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
    }

    fn from_arguments(arguments: &[String]) -> Result<Self> {
        let matches =
            command().try_get_matches_from(arguments).map_err(|e| Error::Usage(one_paragraph(&e)))?;
        Config::from_arg_matches(&matches).map_err(|e| Error::Usage(one_paragraph(&e)))
    }
}

/// The names of the options that `flags` give a value on the command line.
pub fn given(flags: &ArgMatches) -> Vec<String> {
    let ids = command().get_arguments().map(|argument| argument.get_id().to_string()).collect::<Vec<_>>();
    ids.into_iter().filter(|id| flags.value_source(id) == Some(ValueSource::CommandLine)).collect()
}

fn given_arguments(flags: &ArgMatches) -> Vec<String> {
    let value = |id: &String| {
        flags.get_raw(id).and_then(|mut raw| raw.next()).map(|v| v.to_string_lossy().into_owned())
    };
    given(flags).iter().filter_map(|id| Some(argument(id, &value(id)?))).collect()
}

/// The options of a run file as command-line arguments, each validated with its line.
fn file_arguments(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::data(path, format!("cannot read the run file: {e}")))?;
    let at = |offset: usize| Place::line(path, 1 + text[..offset].matches('\n').count() as u64);
    let table = DeTable::parse(&text).map_err(|e| {
        Error::data(e.span().map_or(path.into(), |span| at(span.start)), e.message().to_string())
    })?;

    let mut arguments = Vec::new();
    for (key, value) in table.get_ref() {
        let (name, place) = (key.get_ref().as_ref(), at(key.span().start));
        // What a finished run noted about itself is no option.
        if name == RECORD {
            continue;
        }
        if !command().get_arguments().any(|option| option.get_id() == name) {
            return Err(Error::data(place, unknown(name)));
        }
        let Some(value) = scalar(value.get_ref()) else {
            return Err(Error::data(place, format!("`{name}` takes one value, a number or a string")));
        };
        let argument = argument(name, &value);
        command().try_get_matches_from([&argument]).map_err(|e| Error::data(place, one_paragraph(&e)))?;
        arguments.push(argument);
    }
    Ok(arguments)
}

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

fn scalar(value: &DeValue) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_string()),
        DeValue::Float(number) => Some(number.as_str().to_string()),
        _ => None,
    }
}

fn unknown(name: &str) -> String {
    let command = command();
    let names: Vec<_> = command.get_arguments().map(|option| option.get_id().as_str()).collect();
    let hint = nearest(name, names.iter().copied())
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    format!("unknown option `{name}`{hint} The options are {}", names.join(", "))
}

/// clap's message on one line, without its advice on usage.
fn one_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let own =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"));
    own.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_string()
}

fn names<'a>(entries: impl Iterator<Item = (&'static str, &'static str)> + 'a) -> PossibleValuesParser {
    PossibleValuesParser::new(entries.map(|(name, summary)| PossibleValue::new(name).help(summary)))
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0. => Ok(value),
        _ => Err("it is a number above 0".to_string()),
    }
}

fn open_unit_interval(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0. && value < 1. => Ok(value),
        _ => Err("it is a number between 0 and 1".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn every_option_is_among_the_entries() {
        let entries: Vec<_> =
            Config::default().entries().into_iter().map(|(name, _)| name.to_string()).collect();
        let options: Vec<_> = command().get_arguments().map(|option| option.get_id().to_string()).collect();
        assert_eq!(entries, options);
    }

    #[test]
    fn an_unknown_option_names_its_line_and_the_nearest_one() {
        let text = read("lr = 0.1\nepoch = 3\n").unwrap_err().to_string();
        assert!(text.contains("run.toml, line 2: unknown option `epoch`; did you mean `epochs`?"), "{text}");
    }

    #[test]
    fn a_bad_value_names_its_line_and_the_valid_ones() {
        let text = read("\nmodel = \"mlpp\"\n").unwrap_err().to_string();
        assert!(text.contains("line 2: invalid value 'mlpp'") && text.contains("mlp"), "{text}");
        let text = read("lr = -1\n").unwrap_err().to_string();
        assert!(text.contains("line 1") && text.contains("a number above 0"), "{text}");
    }

    #[test]
    fn broken_toml_names_its_line() {
        let text = read("lr = 0.1\nseed = = 3\n").unwrap_err().to_string();
        assert!(text.contains("run.toml, line 2: "), "{text}");
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
