//! The run file: options by their names, in TOML, each validated with its line.

use std::path::Path;

use clap::error::{ContextKind, ContextValue};

use super::entries::{self, Entry};
use super::{RECORD, argument, command};
use crate::error::{Error, Result, did_you_mean, quoted};

/// The options of a run file as command-line arguments, each validated with its line.
pub fn file_arguments(path: &Path) -> Result<Vec<String>> {
    let mut arguments = Vec::new();
    for Entry { name, value, place } in entries::read(path, "run file")? {
        let name = name.as_str();
        // What a finished run noted about itself is no option.
        if name == RECORD {
            continue;
        }
        if !command().get_arguments().any(|option| option.get_id() == name) {
            return Err(Error::data(place, unknown(name)));
        }
        let Some(value) = value else {
            return Err(Error::data(place, format!("`{name}` takes one value, a number or a string")));
        };
        let argument = argument(name, &value);
        if let Err(error) = command().try_get_matches_from([&argument]) {
            return Err(Error::data(place, invalid(name, &value, &error)));
        }
        arguments.push(argument);
    }
    Ok(arguments)
}

fn unknown(name: &str) -> String {
    let command = command();
    let names: Vec<_> = command.get_arguments().map(|option| option.get_id().as_str()).collect();
    format!(
        "unknown option {}{} The options are {}",
        quoted(name),
        did_you_mean(name, names.iter().copied()).unwrap_or_else(|| ".".to_string()),
        names.join(", ")
    )
}

/// What is wrong with an option's value, from clap's error on it.
fn invalid(name: &str, value: &str, error: &clap::Error) -> String {
    let what = format!("invalid value {} for `{name}`", quoted(value));
    if value.is_empty() {
        return format!("{what}: it cannot be empty");
    }
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue) {
        let valid: Vec<_> = valid.iter().map(String::as_str).collect();
        let hint = did_you_mean(value, valid.iter().copied()).unwrap_or_default();
        return format!("{what}: it is one of {}{hint}", valid.join(", "));
    }
    let reason = std::error::Error::source(error).map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{what}{reason}")
}
