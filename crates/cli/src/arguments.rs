//! The library's options as command line arguments, built from their specifications.

use std::ops::Deref;

use clap::builder::{
    NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser,
};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use cresset::options::Setting;
use cresset_options::headings::HEADINGS;
use cresset_options::{Choice, OptionOf, OptionSet, Text};

/// A struct of options, for `#[command(flatten)]`.
#[derive(Debug, Clone)]
pub struct Flags<O> {
    options: O,
    given: Vec<Setting>,
}

impl<O> Flags<O> {
    /// The options given on the command line.
    pub fn given(&self) -> &[Setting] {
        &self.given
    }

    /// All options, with defaults for those not given.
    pub fn into_options(self) -> O {
        self.options
    }
}

impl<O> Deref for Flags<O> {
    type Target = O;

    fn deref(&self) -> &O {
        &self.options
    }
}

impl<O: OptionSet> Args for Flags<O> {
    fn augment_args(command: Command) -> Command {
        let mut options: Vec<_> = O::table().iter().collect();
        // Headings appear in the order of the first options that have them.
        options
            .sort_by_key(|option| HEADINGS.iter().position(|heading| option.spec.heading == Some(heading)));
        let is_short = options.iter().any(|option| option.spec.is_essential);
        let arguments = options
            .into_iter()
            .map(|option| argument(option).hide_short_help(is_short && !option.spec.is_essential));
        command.args(arguments)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<O: OptionSet> FromArgMatches for Flags<O> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Flags { options: O::default(), given: Vec::new() };
        let is_given = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
        for spec in O::specs().filter(|spec| is_given(spec.name)) {
            let values = matches.get_raw(spec.name).into_iter().flatten();
            let value = values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(",");
            let set = flags.options.set(spec.name, &value);
            set.map_err(|problem| clap::Error::raw(ErrorKind::ValueValidation, problem))?;
            flags.given.push(Setting { name: spec.name, value });
        }
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Flags::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument<O: OptionSet>(option: &'static OptionOf<O>) -> Arg {
    let spec = &option.spec;
    let mut argument = Arg::new(spec.name)
        .long(spec.flag.as_str())
        .aliases(spec.flag_aliases.iter().map(String::as_str))
        .value_name(spec.value_name)
        .help(spec.summary())
        .long_help(spec.help.as_str())
        .default_value(spec.default)
        .allow_negative_numbers(spec.is_number)
        .value_parser(parser(option));
    if let Some(heading) = spec.heading {
        argument = argument.help_heading(heading);
    }
    if let Some(alone) = spec.alone {
        argument = argument.num_args(0..=1).default_missing_value(alone);
    }
    if let Some(other) = spec.conflicts_with {
        argument = argument.conflicts_with(other);
    }
    if spec.is_list { argument.action(ArgAction::Append).value_delimiter(',') } else { argument }
}

/// Validates a value with the option's parser. Returns the text unchanged, for [`OptionSet::set`].
fn parser<O: OptionSet>(option: &'static OptionOf<O>) -> ValueParser {
    let check = move |text: &str| option.set(&mut O::default(), text).map(|()| text.to_string());
    match &option.spec {
        spec if !spec.choices.is_empty() => PossibleValuesParser::new(possible_values(&spec.choices)).into(),
        spec if spec.may_be_empty => ValueParser::new(check),
        _ => NonEmptyStringValueParser::new().try_map(move |text| check(&text)).into(),
    }
}

/// The parser of an argument with named choices.
pub fn chosen<T: Text + Clone + Send + Sync>() -> impl TypedValueParser<Value = T> {
    // Clap requires 'static choices. The parser is built once per command, so the leak is bounded.
    let choices: &'static [Choice] = T::choices().leak();
    PossibleValuesParser::new(possible_values(choices))
        .map(|name| name.parse().expect("the name is one of the choices"))
}

fn possible_values(choices: &'static [Choice]) -> impl Iterator<Item = PossibleValue> {
    choices.iter().map(|choice| {
        let value = PossibleValue::new(choice.name).aliases(choice.aliases.iter().copied());
        if choice.help.is_empty() { value } else { value.help(choice.help.as_str()) }
    })
}

#[cfg(test)]
mod tests {
    use cresset::options::Config;
    use cresset_options::Spec;

    use super::*;

    fn parse(arguments: &[String]) -> Result<Flags<Config>, clap::Error> {
        let command = Flags::<Config>::augment_args(Command::new("train").no_binary_name(true));
        Flags::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    /// A value of the option that is not its default.
    fn other_value(spec: &Spec) -> &'static str {
        if let Some(choice) = spec.choices.iter().find(|choice| spec.default != Some(choice.name)) {
            return choice.name;
        }
        match spec.name {
            "label" | "group" | "user" | "item" | "rating" => "2",
            "split" => "time:2",
            "image_size" => "24x32",
            "augment" => "flip",
            "vocab_size" => "300",
            "model" => "cnn",
            "normalization" => "imagenet",
            "tf32"
            | "sync_batch_norm"
            | "fresh_head"
            | "head_only"
            | "gradient_checkpointing"
            | "finetune"
            | "accept_contradictions" => "true",
            "length_buckets" => "false",
            "device" => "cpu",
            "validation" | "max_bad_share" | "mask_categories" | "average_decay" | "average_start"
            | "center_crop" | "coverage" | "ood" | "teacher_share" => "0.375",
            _ if spec.is_number => "3",
            _ => "some-text",
        }
    }

    #[test]
    fn every_option_goes_from_the_command_line_to_the_record_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let defaults = Config::default();
        for spec in Config::specs() {
            let (name, value) = (spec.name, other_value(spec));
            let mut config = defaults.clone();
            config.set(name, value).unwrap();
            assert!(config != defaults, "{name} = {value} is the default");
            for flag in std::iter::once(&spec.flag).chain(&spec.flag_aliases) {
                let flags = parse(&[format!("--{flag}"), value.to_string()]).unwrap();
                assert_eq!(*flags, config, "{flag}");
                assert_eq!(flags.given(), [Setting { name, value: value.to_string() }]);
                assert_eq!(Config::overlay(None, flags.given()).unwrap(), config, "{flag}");
            }
            let recorded = config.get(name).unwrap();
            assert!(config.to_toml().contains(&format!("{name} = {recorded}\n")), "{name}");
            std::fs::write(&file, config.to_toml()).unwrap();
            assert_eq!(Config::read(&file).unwrap(), config, "{name}");
            for key in std::iter::once(&name).chain(spec.aliases) {
                std::fs::write(&file, format!("{key} = '{value}'\n")).unwrap();
                assert_eq!(Config::read(&file).unwrap(), config, "{key}");
            }
        }
    }

    #[test]
    fn the_command_line_takes_precedence_over_the_file_and_only_where_it_gives_a_value() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        std::fs::write(&file, "epochs = 3\nlr = 0.5\n").unwrap();
        let flags = parse(&["--lr=0.25".to_string(), "--tf32".to_string()]).unwrap();
        let config = Config::overlay(Some(&file), flags.given()).unwrap();
        assert_eq!((config.epochs, config.lr, config.training.tf32), (3, 0.25, true));
    }

    #[test]
    fn a_list_is_given_at_once_or_piece_by_piece() {
        type Compress = Flags<cresset::compress::CompressOptions>;
        let of = |arguments: &[&str]| {
            let command = Compress::augment_args(Command::new("compress").no_binary_name(true));
            let matches = command.try_get_matches_from(arguments)?;
            Compress::from_arg_matches(&matches).map(|flags| flags.into_options().prune)
        };
        assert_eq!(of(&["--prune", "0.25,0.5"]).unwrap(), [0.25, 0.5]);
        assert_eq!(of(&["--prune", "0.25", "--prune", "0.5"]).unwrap(), [0.25, 0.5]);
        assert!(
            of(&["--prune", "0.25,1"]).unwrap_err().to_string().contains("a share is above 0 and below 1")
        );
    }

    #[test]
    fn the_short_help_shows_what_is_essential() {
        let help = Flags::<Config>::augment_args(Command::new("train")).render_help().to_string();
        for spec in Config::specs() {
            assert_eq!(help.contains(&format!("--{} ", spec.flag)), spec.is_essential, "{}", spec.name);
        }
    }
}
