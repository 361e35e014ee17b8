//! What is known of an option, beside its type.

/// An option as a command line, a TOML file and the documentation need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Its name in TOML files, which is the name of the field.
    pub name: &'static str,
    /// Other names that it is read by, such as those of earlier versions.
    pub aliases: &'static [&'static str],
    /// Its name on the command line, without the dashes: `batch-size`.
    pub flag: String,
    /// The aliases on the command line.
    pub flag_aliases: Vec<String>,
    /// What it does, in a paragraph.
    pub help: String,
    /// What its value is called in the help: `N`, `FILE`.
    pub value_name: &'static str,
    /// The text of its default; none if it has no value unless it is given.
    pub default: Option<&'static str>,
    /// The values that it takes; empty if they cannot be listed.
    pub choices: Vec<Choice>,
    /// The value that it has if it is given without one; none if it always takes a value.
    pub alone: Option<&'static str>,
    /// The heading of its group in the help.
    pub heading: Option<&'static str>,
    /// Whether the short help shows it.
    pub is_essential: bool,
    /// Whether its values are numbers, which may begin with a minus sign.
    pub is_number: bool,
    /// Whether it takes several values, separated by commas.
    pub is_list: bool,
    /// Whether its value may be an empty text.
    pub may_be_empty: bool,
    /// The option that it cannot be given together with.
    pub conflicts_with: Option<&'static str>,
}

/// A value that is chosen by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// Other names that it is read by.
    pub aliases: &'static [&'static str],
    /// What it means, in a line; may be empty.
    pub help: String,
}

impl Spec {
    /// An option without default, heading or restrictions.
    pub fn new(value_name: &'static str) -> Self {
        Spec {
            name: "",
            aliases: &[],
            flag: String::new(),
            flag_aliases: Vec::new(),
            help: String::new(),
            value_name,
            default: None,
            choices: Vec::new(),
            alone: None,
            heading: None,
            is_essential: false,
            is_number: false,
            is_list: false,
            may_be_empty: true,
            conflicts_with: None,
        }
    }

    /// The same with a name, and with the text of a doc comment as help.
    pub fn named(self, name: &'static str, docs: &str) -> Self {
        let flag_aliases = self.aliases.iter().map(|alias| flag(alias)).collect();
        Spec { name, flag: flag(name), flag_aliases, help: help(docs), ..self }
    }

    /// The help up to its first colon, semicolon or full stop.
    pub fn summary(&self) -> &str {
        let ends = [": ", "; ", ". "].iter().filter_map(|end| self.help.find(end));
        &self.help[..ends.min().unwrap_or(self.help.len())]
    }

    /// Whether `name` is its name or one of its aliases, as TOML files have them.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

impl Choice {
    /// A choice without aliases.
    pub fn new(name: &'static str, help: &str) -> Self {
        Choice { name, aliases: &[], help: help.to_string() }
    }
}

fn flag(name: &str) -> String {
    name.replace('_', "-")
}

/// The text of a doc comment on one line, without a full stop at its end.
pub fn help(docs: &str) -> String {
    let text = docs.split_whitespace().collect::<Vec<_>>().join(" ");
    text.strip_suffix('.').map(str::to_string).unwrap_or(text)
}
