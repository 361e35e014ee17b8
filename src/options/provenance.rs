//! Where the values of options come from.

use std::collections::BTreeSet;

use cresset_options::{OptionOf, OptionSet};

use super::Config;
use crate::recipe::Recipe;

/// Which options were set explicitly, and what the recipe chose.
///
/// It is no option itself, has no influence on a run that has started, and does not count when options are compared.
///
/// ```
/// use cresset::options::Setting;
/// use cresset::prelude::*;
///
/// let config = Config::of(&[Setting { name: "epochs", value: "10".into() }])?;
/// // Set explicitly, although it is the default.
/// assert!(config.is_given("epochs") && !config.is_given("lr"));
/// assert_eq!(config, Config::default());
/// let config = Config { lr: 0.1, ..Config::default() };
/// assert!(config.is_given("lr"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// Names of the options that were set by name: on the command line or in a run file.
    pub given: BTreeSet<&'static str>,
    /// The recipe that set other options.
    pub recipe: Option<Recipe>,
}

impl PartialEq for Provenance {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl OptionSet for Provenance {
    fn table() -> &'static [OptionOf<Self>] {
        &[]
    }
}

impl Config {
    /// Whether an option was set explicitly: by name, or to another value than its default.
    pub fn is_given(&self, name: &str) -> bool {
        self.provenance.given.contains(name) || self.get(name) != Config::default().get(name)
    }

    /// The value of an option as text, as in run files; none if it has none.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_string))
    }
}
