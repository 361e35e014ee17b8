//! The run file: options by their names, in TOML, each validated with its line.

use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use toml::de::{DeTable, DeValue};

use super::{RECORD, argument, command};
use crate::error::{Error, Place, Result, did_you_mean, quoted};

/// The options of a run file as command-line arguments, each validated with its line.
pub fn file_arguments(path: &Path) -> Result<Vec<String>> {
    let bytes =
        std::fs::read(path).map_err(|e| Error::data(path, format!("cannot read the run file: {e}")))?;
    let line = |offset: usize| {
        Place::line(path, 1 + bytes[..offset].iter().filter(|byte| **byte == b'\n').count() as u64)
    };
    let at = |offset: usize| line(offset).column(column(&bytes[..offset]).to_string());
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| Error::data(at(e.valid_up_to()), "the text is not UTF-8; save the file in UTF-8"))?;
    let table = DeTable::parse(text).map_err(|e| {
        let place = e.span().map_or(path.into(), |span| at(span.start));
        Error::data(place, format!("this is no TOML: {}", e.message()))
    })?;

    let mut arguments = Vec::new();
    for (key, value) in table.get_ref() {
        let (name, place) = (key.get_ref().as_ref(), line(key.span().start));
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
        if let Err(error) = command().try_get_matches_from([&argument]) {
            return Err(Error::data(place, invalid(name, &value, &error)));
        }
        arguments.push(argument);
    }
    Ok(arguments)
}

/// The column behind the text `before`, from 1.
fn column(before: &[u8]) -> usize {
    let own = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    1 + String::from_utf8_lossy(own).chars().count()
}

fn scalar(value: &DeValue) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        // TOML writes integers in hexadecimal, octal and binary too.
        DeValue::Integer(number) => {
            let digits = number.as_str();
            let decimal = i128::from_str_radix(digits, number.radix()).map(|number| number.to_string());
            Some(decimal.unwrap_or_else(|_| digits.to_string()))
        }
        DeValue::Float(number) => Some(number.as_str().to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
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
