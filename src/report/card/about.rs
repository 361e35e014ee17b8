//! The fields of a card that the author states: with options or in a TOML file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use cresset_options::{OptionOf, OptionSet, Spec};

use crate::error::{Error, Result, did_you_mean, quoted};
use crate::options::entries::{self, Entry};

/// A field that the author states.
#[derive(Debug)]
pub struct Field {
    /// Its name in the file; on the command line, with dashes.
    pub name: &'static str,
    /// A one-line description.
    pub help: &'static str,
}

const fn field(name: &'static str, help: &'static str) -> Field {
    Field { name, help }
}

/// All fields.
///
/// ```
/// use cresset::report::card::FIELDS;
///
/// assert!(FIELDS.iter().any(|field| field.name == "license"));
/// ```
pub const FIELDS: &[Field] = &[
    field("name", "Name of the model [default: the name of the run's folder]"),
    field("model_version", "Version of the model"),
    field("authors", "Authors of the model"),
    field("contact", "Contact for questions and bug reports"),
    field("license", "License of the model, preferably an SPDX identifier such as Apache-2.0"),
    field("license_link", "Link to the text of the license"),
    field("citation", "How to cite the model"),
    field("intended_use", "Intended use of the model"),
    field("intended_users", "Intended users of the model"),
    field("out_of_scope", "Uses that are out of scope"),
    field("data_origin", "Origin of the data, how it was collected and labelled"),
    field("data_license", "License of the data"),
    field(
        "ethical_considerations",
        "Ethical considerations: whom the data is about, whom errors affect and how, mitigations",
    ),
    field("recommendations", "Recommendations to users of the model"),
];

/// The heading of the fields in the help.
const HEADING: &str = "Model card fields (also in the file of --about, as `license = \"MIT\"`)";

/// Fields that a card is complete without.
const OPTIONAL: [&str; 4] = ["name", "model_version", "license_link", "citation"];

/// The stated fields.
///
/// ```
/// use cresset::report::card::About;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("about.toml");
/// std::fs::write(&path, "license = \"MIT\"\n").unwrap();
/// let about = About::read(&path)?.or(About::default());
/// assert_eq!(about.get("license"), Some("MIT"));
/// assert!(about.not_stated().contains(&"--authors".to_string()));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About(BTreeMap<&'static str, String>);

impl About {
    /// Reads a TOML file of strings, such as `license = "MIT"`.
    ///
    /// # Errors
    /// If the file cannot be read or is not TOML, or a field is unknown, empty or not a string; the error names the line.
    pub fn read(path: &Path) -> Result<Self> {
        let mut about = BTreeMap::new();
        for Entry { name, value, location } in entries::read(path, "model card file")? {
            let names = FIELDS.iter().map(|field| field.name);
            let Some(known) = names.clone().find(|known| *known == name) else {
                let hint = did_you_mean(&name, names.clone()).unwrap_or_else(|| ".".to_string());
                let all = names.collect::<Vec<_>>().join(", ");
                return Err(Error::data(
                    location,
                    format!("unknown field {}{hint} The fields are {all}", quoted(&name)),
                ));
            };
            let text = value.map(|text| text.trim().to_string()).filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| {
                Error::data(
                    location,
                    format!(
                        "`{name}` must be a non-empty string; omit the field if there is nothing to state"
                    ),
                )
            })?;
            about.insert(known, text);
        }
        Ok(About(about))
    }

    /// These fields, completed by those of `other`.
    pub fn or(mut self, other: Self) -> Self {
        other.0.into_iter().for_each(|(name, text)| {
            self.0.entry(name).or_insert(text);
        });
        self
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(FIELDS.iter().any(|field| field.name == name), "there is no field {name}");
        self.0.get(name).map(String::as_str)
    }

    /// The value of a field, or a note on how to state it.
    pub(crate) fn or_how_to_state(&self, name: &str) -> String {
        let stated = self.get(name).map(str::to_string);
        stated.unwrap_or_else(|| format!("*Not stated; use `--{}`.*", name.replace('_', "-")))
    }

    /// The options of the required fields that are not stated.
    pub fn not_stated(&self) -> Vec<String> {
        let is_missing = |field: &&Field| !OPTIONAL.contains(&field.name) && self.get(field.name).is_none();
        let missing = FIELDS.iter().filter(is_missing);
        missing.map(|field| format!("--{}", field.name.replace('_', "-"))).collect()
    }
}

impl OptionSet for About {
    fn table() -> &'static [OptionOf<Self>] {
        static TABLE: LazyLock<Vec<OptionOf<About>>> = LazyLock::new(|| FIELDS.iter().map(option).collect());
        &TABLE
    }
}

fn option(field: &'static Field) -> OptionOf<About> {
    let spec = Spec { heading: Some(HEADING), may_be_empty: false, ..Spec::new("TEXT") };
    let set = |about: &mut About, text: &str| match text.trim() {
        "" => Err("it cannot be empty".to_string()),
        text => {
            about.0.insert(field.name, text.to_string());
            Ok(())
        }
    };
    OptionOf::new(spec.named(field.name, field.help), set, |about| about.get(field.name).map(Into::into))
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
            ("license = \" \"\n", "line 1: `license` must be a non-empty string"),
            ("authors = [\"a\", \"b\"]\n", "line 1: `authors` must be a non-empty string"),
            ("license = \n", "invalid TOML"),
        ] {
            let problem = read(text.as_bytes()).unwrap_err().to_string();
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let file = read(b"license = \"MIT\"\nmodel_version = 2\n").unwrap();
        let mut given = About::default();
        given.set("license", "Apache-2.0").unwrap();
        let about = given.or(file);
        assert_eq!((about.get("license"), about.get("model_version")), (Some("Apache-2.0"), Some("2")));
        assert!(about.or_how_to_state("intended_use").contains("use `--intended-use`"));
        let not_stated = about.not_stated();
        assert!(
            not_stated.contains(&"--authors".to_string()) && !not_stated.contains(&"--license".to_string())
        );
    }

    #[test]
    fn every_field_is_an_option_of_its_name() {
        for field in FIELDS {
            let mut about = About::default();
            about.set(field.name, " a text ").unwrap();
            assert_eq!(about.entries(), [(field.name, "a text".into())]);
            assert_eq!(About::spec(field.name).unwrap().flag, field.name.replace('_', "-"));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, text in "[a-z_]{0,8} ?= ?[\"'0-9\\[{.tru-]{0,6}\n?") {
            let _ = read(&bytes);
            let _ = read(text.as_bytes());
        }
    }
}
