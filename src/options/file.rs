//! The run file: options by name, in TOML.

use std::path::Path;

use cresset_options::OptionSet;

use super::entries::{self, Entry};
use super::{Config, MASK_CATEGORIES, RECORD};
use crate::error::{Error, Result};
use crate::recipe::{BUILT_IN, NONE};

/// An option and its value as text.
///
/// ```
/// use cresset::options::Setting;
/// use cresset::prelude::*;
///
/// let setting = Setting { name: "lr", value: "0.01".to_string() };
/// assert_eq!(Config::of(&[setting])?.lr, 0.01);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The name of the option, never an alias.
    pub name: &'static str,
    /// The value as text.
    pub value: String,
}

/// Reads and validates the options of a run file. An error names the line.
pub fn settings(path: &Path) -> Result<Vec<Setting>> {
    if BUILT_IN.iter().any(|recipe| Path::new(recipe.name) == path) && !path.exists() {
        let name = path.display();
        return Err(Error::Usage(format!(
            "there is no run file {name}; --recipe {name} selects the built-in recipe"
        )));
    }
    let mut settings = Vec::new();
    let entries = entries::read(path, "run file")?;
    let has = |name: &str| entries.iter().any(|entry| entry.name == name);
    if has(RECORD) && !has(MASK_CATEGORIES) {
        settings.push(Setting { name: MASK_CATEGORIES, value: "0".to_string() });
    }
    if has(RECORD) && !has("column_types") {
        settings.push(Setting { name: "column_types", value: "basic".to_string() });
    }
    if has(RECORD) && !has("length_buckets") {
        settings.push(Setting { name: "length_buckets", value: "false".to_string() });
    }
    if has(RECORD) && !has("recipe") {
        settings.push(Setting { name: "recipe", value: NONE.to_string() });
    }
    for Entry { name, value, location } in entries {
        // The record of a finished run is not an option.
        if name == RECORD {
            continue;
        }
        settings.push(checked(&name, value.as_deref()).map_err(|problem| Error::data(location, problem))?);
    }
    Ok(settings)
}

/// Validates an option given by its name or an alias. `value` is its text, none for a list or a table.
///
/// # Errors
/// An unknown name or an invalid value.
pub fn checked(name: &str, value: Option<&str>) -> std::result::Result<Setting, String> {
    let mut config = Config::default();
    let Some(spec) = Config::spec(name) else { return Err(config.set(name, "").expect_err("it is unknown")) };
    let value = value.ok_or_else(|| format!("`{name}` needs a single value, a number or a string"))?;
    config.set(name, value)?;
    Ok(Setting { name: spec.name, value: value.to_string() })
}

/// The current name of an option that an earlier version may have written; other names are unchanged.
///
/// ```
/// use cresset::options::canonical;
///
/// assert_eq!(canonical("held_out"), "validation");
/// assert_eq!(canonical("epochs"), "epochs");
/// ```
pub fn canonical(name: &str) -> &str {
    Config::spec(name).map_or(name, |spec| spec.name)
}
