//! The run file: options by their names, in TOML, each validated with its line.

use std::path::Path;

use clap::error::{ContextKind, ContextValue};

use super::entries::{self, Entry};
use super::{MASK_CATEGORIES, RECORD, argument, command, names};
use crate::error::{Error, Result, did_you_mean, quoted};

/// The options of a run file as command-line arguments, each validated with its line.
pub fn file_arguments(path: &Path) -> Result<Vec<String>> {
    let mut arguments = Vec::new();
    let entries = entries::read(path, "run file")?;
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    if has(RECORD) && !has(MASK_CATEGORIES) {
        arguments.push(argument(MASK_CATEGORIES, "0"));
    }
    for Entry { name, value, place } in entries {
        let name = name.as_str();
        // What a finished run noted about itself is no option.
        if name == RECORD {
            continue;
        }
        arguments.push(checked(name, value.as_deref()).map_err(|problem| Error::data(place, problem))?);
    }
    Ok(arguments)
}

/// An option with its value (none where it is a list or a table) as a command-line argument.
///
/// # Errors
/// What is wrong with the name or the value.
pub fn checked(name: &str, value: Option<&str>) -> std::result::Result<String, String> {
    if !names().iter().any(|known| known == name) {
        return Err(unknown(name));
    }
    let value = value.ok_or_else(|| format!("`{name}` takes one value, a number or a string"))?;
    let argument = argument(name, value);
    match command().try_get_matches_from([&argument]) {
        Ok(_) => Ok(argument),
        Err(error) => Err(invalid(name, value, &error)),
    }
}

fn unknown(name: &str) -> String {
    let names = names();
    format!(
        "unknown option {}{} The options are {}",
        quoted(name),
        did_you_mean(name, names.iter().map(String::as_str)).unwrap_or_else(|| ".".to_string()),
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
