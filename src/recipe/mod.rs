//! Recipes: values of options that suit the data.
//!
//! The automatic recipe is a pure function of [`Facts`]: [`Recipe::auto`] asks the first of [`KINDS`] that has this kind of data. A
//! built-in recipe is one of the run files in `recipes/`. [`Recipe::without`] removes what was set explicitly.

mod built_in;
mod dependent;
mod facts;
mod kind;
mod mirror;
#[cfg(test)]
mod tests;

use crate::data::TaskKind;
pub use built_in::{BUILT_IN, BuiltIn};
pub use facts::{Backbone, Facts, Head, Start};
pub use kind::KINDS;
pub use mirror::Mirror;

/// The value of `--recipe` for the automatic recipe.
pub const AUTO: &str = "auto";

/// The value of `--recipe` for no recipe.
pub const NONE: &str = "none";

/// A kind of data.
///
/// To add one, write a file in `kind/` with a constant of this type and put it in [`KINDS`].
///
/// ```
/// use cresset::recipe::KINDS;
///
/// let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
/// assert_eq!(names, ["choices", "texts", "table", "small images", "photographs"]);
/// ```
pub struct Kind {
    /// The name in the output.
    pub name: &'static str,
    /// Whether data is of this kind.
    pub is: fn(&Facts) -> bool,
    /// The choices for such data.
    pub choose: fn(&Facts) -> Vec<Choice>,
}

/// The values of one or more options, and the reason for them.
///
/// ```
/// use cresset::recipe::Choice;
///
/// let choice = Choice::new("as the data is small").set("epochs", 60).set("batch_size", 32);
/// assert_eq!(choice.to_string(), "epochs 60, batch-size 32: as the data is small");
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Choice {
    /// Names of options and their values as text. Without any, the reason is a note.
    pub settings: Vec<(String, String)>,
    /// Why.
    pub reason: String,
}

impl Choice {
    /// No options yet.
    pub fn new(reason: impl Into<String>) -> Self {
        Choice { settings: Vec::new(), reason: reason.into() }
    }

    /// Adds an option.
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_string(), value.to_string()));
        self
    }
}

impl Choice {
    /// Appends text to the value of an option, if it is set.
    fn extended(mut self, name: &str, more: &str) -> Self {
        self.settings.iter_mut().filter(|(own, _)| own == name).for_each(|(_, value)| value.push_str(more));
        self
    }
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let settings: Vec<_> =
            self.settings.iter().map(|(name, value)| format!("{} {value}", name.replace('_', "-"))).collect();
        match settings.is_empty() {
            true => f.write_str(&self.reason),
            false => write!(f, "{}: {}", settings.join(", "), self.reason),
        }
    }
}

/// Choices of options.
///
/// ```
/// use cresset::recipe::{Facts, Recipe};
/// # use cresset::data::InputShape;
///
/// let facts = Facts { examples: 120, counts: vec![50; 3], ..Facts::of_shape(InputShape(vec![4])) };
/// let recipe = Recipe::auto(&facts);
/// assert_eq!(recipe.title, "auto: table (120 rows of 4 columns, 3 classes)");
/// assert_eq!(recipe.value("model"), Some("tabm"));
/// // Whoever chooses the optimizer does not get the options of another one.
/// let recipe = recipe.without(&|name| (name == "optimizer").then(|| "sgd".to_string()));
/// assert_eq!((recipe.value("lr"), recipe.value("model")), (None, Some("tabm")));
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Recipe {
    /// The name of the recipe and the data.
    pub title: String,
    /// The choices.
    pub choices: Vec<Choice>,
}

impl Recipe {
    /// The automatic recipe.
    pub fn auto(facts: &Facts) -> Self {
        let kind = Kind::of(facts);
        let mut choices = (kind.choose)(facts);
        let is_bag = choices.iter().flat_map(|choice| &choice.settings).any(|(name, _)| name == "bag");
        let facts = &if is_bag { facts.in_bag() } else { facts.clone() };
        if facts.task != TaskKind::Classification {
            // The options of cross-entropy suit no other loss.
            choices.iter_mut().for_each(|choice| choice.settings.retain(|(name, _)| name != "loss_options"));
        }
        choices.push(kind::monitor(facts));
        Recipe { title: format!("{AUTO}: {} ({})", kind.name, facts.summary()), choices }
    }

    /// The recipe without the options that were `given`, and without those that only suit the recipe's value of an option that was
    /// given another one. `given` returns the value of an option that was set explicitly.
    pub fn without(self, given: &dyn Fn(&str) -> Option<String>) -> Self {
        let is_kept =
            |name: &str| given(name).is_none() && !dependent::depends_on_another(name, &self, given);
        let choices = self.choices.iter().filter_map(|choice| {
            let mut kept = choice.clone();
            kept.settings.retain(|(name, _)| is_kept(name));
            // A note never had options.
            (!kept.settings.is_empty() || choice.settings.is_empty()).then_some(kept)
        });
        Recipe { choices: choices.collect(), title: self.title.clone() }
    }

    /// The value of an option; none if the recipe leaves it alone.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.settings().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The options with their values.
    pub fn settings(&self) -> impl Iterator<Item = &(String, String)> {
        self.choices.iter().flat_map(|choice| &choice.settings)
    }

    /// The title, and a line per choice.
    pub fn lines(&self) -> Vec<String> {
        std::iter::once(self.title.clone()).chain(self.choices.iter().map(Choice::to_string)).collect()
    }
}

impl Kind {
    /// The kind of the data.
    pub fn of(facts: &Facts) -> &'static Kind {
        KINDS.iter().find(|kind| (kind.is)(facts)).expect("the last kind takes all images")
    }
}
