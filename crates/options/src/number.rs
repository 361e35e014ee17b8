//! Numeric options of a component chosen by name, as text: `width=32,dropout=0.2`.

use std::collections::BTreeMap;

use crate::text::{did_you_mean, quoted};

/// A numeric option of an architecture, an optimizer, a learning rate schedule or an objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberOption {
    /// Name.
    pub name: &'static str,
    /// One-line help text.
    pub help: &'static str,
    /// Default value.
    pub default: f64,
    /// Minimum and maximum.
    pub range: (f64, f64),
    /// Whether it must be an integer.
    pub is_whole: bool,
}

impl NumberOption {
    /// An integer option.
    pub const fn whole(name: &'static str, default: i64, range: (i64, i64), help: &'static str) -> Self {
        let range = (range.0 as f64, range.1 as f64);
        NumberOption { name, help, default: default as f64, range, is_whole: true }
    }

    /// A float option.
    pub const fn real(name: &'static str, default: f64, range: (f64, f64), help: &'static str) -> Self {
        NumberOption { name, help, default, range, is_whole: false }
    }

    /// The dropout probability.
    pub const fn dropout(default: f64) -> Self {
        NumberOption::real("dropout", default, (0., 0.95), "dropout probability")
    }

    /// The rate of stochastic depth.
    pub const fn drop_path(default: f64) -> Self {
        let help = "stochastic depth: the probability that the last residual branch is dropped; it falls linearly to 0";
        NumberOption::real("drop_path", default, (0., 0.95), help)
    }

    fn read(&self, text: &str) -> Result<f64, String> {
        let (least, most) = self.range;
        let value = text.trim().parse::<f64>().ok();
        let is_fit = |value: &f64| (least..=most).contains(value) && !(self.is_whole && value.fract() != 0.);
        value.filter(is_fit).ok_or_else(|| {
            let kind = if self.is_whole { "an integer" } else { "a number" };
            format!("`{}` must be {kind} from {least} to {most}, not {}", self.name, quoted(text))
        })
    }
}

/// The values of numeric options.
#[derive(Debug, Clone, PartialEq)]
pub struct Options(BTreeMap<&'static str, f64>);

impl Options {
    /// Parses comma-separated options of `owner` ("the model cnn"). Missing options have their defaults.
    ///
    /// # Errors
    /// A name that is not in `known`, a value out of range, an option given twice.
    pub fn parse(text: &str, owner: &str, known: &[NumberOption]) -> Result<Self, String> {
        let fault = |problem: String| format!("the options of {owner}: {problem}");
        let mut given = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) =
                part.split_once('=').ok_or_else(|| fault(format!("{} is not NAME=NUMBER", quoted(part))))?;
            let option = known.iter().find(|option| option.name == name.trim());
            let option = option.ok_or_else(|| fault(unknown(name, known)))?;
            if given.insert(option.name, option.read(value).map_err(fault)?).is_some() {
                return Err(fault(format!("`{}` is given twice", option.name)));
            }
        }
        let value = |option: &NumberOption| given.get(option.name).copied().unwrap_or(option.default);
        Ok(Options(known.iter().map(|option| (option.name, value(option))).collect()))
    }

    /// The value of an option, or None if there is no such option.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// The value of an option.
    ///
    /// # Panics
    /// If there is no such option.
    pub fn number(&self, name: &str) -> f64 {
        self.get(name).unwrap_or_else(|| panic!("there is no option `{name}`"))
    }

    /// The value of an integer option.
    ///
    /// # Panics
    /// If there is no such option.
    pub fn whole(&self, name: &str) -> i64 {
        self.number(name) as i64
    }
}

fn unknown(name: &str, options: &[NumberOption]) -> String {
    if options.is_empty() {
        return "it has no options".to_string();
    }
    let names: Vec<_> = options.iter().map(|option| option.name).collect();
    let hint = did_you_mean(name, names.iter().copied());
    let all = names.join(", ");
    format!("unknown option {}{} Available: {all}", quoted(name), hint.unwrap_or_else(|| ".".to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        let known = [NumberOption::whole("width", 32, (1, 1024), "channels"), NumberOption::dropout(0.25)];
        Options::parse(text, "the model cnn", &known)
    }

    #[test]
    fn options_that_are_not_given_have_their_defaults() {
        let options = parse(" width = 8, dropout=0.5").unwrap();
        assert_eq!((options.whole("width"), options.number("dropout")), (8, 0.5));
        assert_eq!(parse("width=8,").unwrap().number("dropout"), parse("").unwrap().number("dropout"));
    }

    #[test]
    fn errors_name_the_option_and_its_range() {
        for (text, says) in [
            ("widht=8", "unknown option `widht`; did you mean `width`?"),
            ("width=8.5", "`width` must be an integer from 1 to "),
            ("dropout=1.5", "`dropout` must be a number from 0 to 0.95, not `1.5`"),
            ("dropout=NaN", "`dropout` must be a number"),
            ("width", "`width` is not NAME=NUMBER"),
            ("width=8,width=9", "`width` is given twice"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
    }
}
