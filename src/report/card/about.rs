//! What a card says that no program can know: options, or a file of them.

use std::collections::BTreeMap;
use std::path::Path;

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::error::{Error, Result, did_you_mean, quoted};
use crate::options::entries::{self, Entry};

/// Something that only people know.
#[derive(Debug)]
pub struct Field {
    /// Its name in the file.
    pub name: &'static str,
    /// Its name on the command line.
    pub option: &'static str,
    /// What it is.
    pub help: &'static str,
}

const fn field(name: &'static str, option: &'static str, help: &'static str) -> Field {
    Field { name, option, help }
}

/// All of them.
pub const FIELDS: &[Field] = &[
    field("name", "name", "What the model is called [default: the name of the run's folder]"),
    field("model_version", "model-version", "Version of the model"),
    field("authors", "authors", "Who made the model"),
    field("contact", "contact", "Where to send questions and reports of faults"),
    field("license", "license", "Licence of the model, best as an SPDX identifier such as Apache-2.0"),
    field("license_link", "license-link", "Where the licence can be read"),
    field("citation", "citation", "How to cite the model"),
    field("intended_use", "intended-use", "What the model is for"),
    field("intended_users", "intended-users", "Who is meant to use it"),
    field("out_of_scope", "out-of-scope", "What it must not be used for"),
    field("data_origin", "data-origin", "Where the data comes from, how it was collected and labelled"),
    field("data_license", "data-license", "Licence of the data"),
    field(
        "ethical_considerations",
        "ethical-considerations",
        "Whom the data is about, what a wrong answer does to whom, what was done about it",
    ),
    field("recommendations", "recommendations", "What whoever uses the model should heed"),
];

/// Fields that a card is complete without.
const OPTIONAL: [&str; 4] = ["name", "model_version", "license_link", "citation"];

/// What was stated of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About(BTreeMap<&'static str, String>);

impl About {
    /// Reads a TOML file of texts, such as `license = "MIT"`.
    ///
    /// # Errors
    /// A file that cannot be read or is no TOML, and fields that are unknown, empty or no texts, each with its line.
    pub fn read(path: &Path) -> Result<Self> {
        let mut about = BTreeMap::new();
        for Entry { name, value, place } in entries::read(path, "file about the model")? {
            let names = FIELDS.iter().map(|field| field.name);
            let Some(known) = names.clone().find(|known| *known == name) else {
                let hint = did_you_mean(&name, names.clone()).unwrap_or_else(|| ".".to_string());
                let all = names.collect::<Vec<_>>().join(", ");
                return Err(Error::data(
                    place,
                    format!("unknown field {}{hint} The fields are {all}", quoted(&name)),
                ));
            };
            let text = value.map(|text| text.trim().to_string()).filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| {
                Error::data(
                    place,
                    format!("`{name}` takes a text; leave the field out if there is nothing to state"),
                )
            })?;
            about.insert(known, text);
        }
        Ok(About(about))
    }

    /// This, and what only `other` states.
    pub fn or(mut self, other: Self) -> Self {
        other.0.into_iter().for_each(|(name, text)| {
            self.0.entry(name).or_insert(text);
        });
        self
    }

    /// What was stated of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(FIELDS.iter().any(|field| field.name == name), "there is no field {name}");
        self.0.get(name).map(String::as_str)
    }

    /// What was stated of a field, or else that nothing was, and how to state it.
    pub fn or_how_to_state(&self, name: &str) -> String {
        let stated = self.get(name).map(str::to_string);
        stated.unwrap_or_else(|| format!("*Not stated; `--{}` states it.*", name.replace('_', "-")))
    }

    /// The options of the fields that nothing was stated of, though a card wants them.
    pub fn not_stated(&self) -> Vec<String> {
        let is_missing = |field: &&Field| !OPTIONAL.contains(&field.name) && self.get(field.name).is_none();
        let missing = FIELDS.iter().filter(is_missing);
        missing.map(|field| format!("--{}", field.option)).collect()
    }
}

impl Args for About {
    fn augment_args(command: Command) -> Command {
        let arguments = FIELDS.iter().map(|field| {
            Arg::new(field.name)
                .long(field.option)
                .help(field.help)
                .value_name("TEXT")
                .value_parser(NonEmptyStringValueParser::new())
                .help_heading(
                    "What only people know (each may stand in the file of --about, as `license = \"MIT\"`)",
                )
        });
        command.args(arguments)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for About {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let given =
            |field: &Field| Some((field.name, matches.get_one::<String>(field.name)?.trim().to_string()));
        Ok(About(FIELDS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = About::from_arg_matches(matches)?.or(std::mem::take(self));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> Result<About> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("about.toml");
        std::fs::write(&path, text).unwrap();
        About::read(&path)
    }

    #[test]
    fn unknown_empty_and_broken_fields_name_their_line() {
        for (text, says) in [
            (
                "\nlicence = \"MIT\"\n",
                "about.toml, line 2: unknown field `licence`; did you mean `license`? The fields are name,",
            ),
            ("license = \" \"\n", "line 1: `license` takes a text"),
            ("authors = [\"a\", \"b\"]\n", "line 1: `authors` takes a text"),
            ("license = \n", "this is no TOML"),
        ] {
            let problem = read(text.as_bytes()).unwrap_err().to_string();
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let file = read(b"license = \"MIT\"\nmodel_version = 2\n").unwrap();
        let command = About::augment_args(Command::new("card"));
        let matches = command.try_get_matches_from(["card", "--license", "Apache-2.0"]).unwrap();
        let about = About::from_arg_matches(&matches).unwrap().or(file);
        assert_eq!((about.get("license"), about.get("model_version")), (Some("Apache-2.0"), Some("2")));
        assert!(about.or_how_to_state("intended_use").contains("`--intended-use` states it"));
        let not_stated = about.not_stated();
        assert!(
            not_stated.contains(&"--authors".to_string()) && !not_stated.contains(&"--license".to_string())
        );
    }

    #[test]
    fn a_field_and_its_option_have_the_same_name() {
        FIELDS.iter().for_each(|field| assert_eq!(field.name.replace('_', "-"), field.option));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, text in "[a-z_]{0,8} ?= ?[\"'0-9\\[{.tru-]{0,6}\n?") {
            let _ = read(&bytes);
            let _ = read(text.as_bytes());
        }
    }
}
