//! Structs of options, and the macro that declares them.

use crate::Spec;
use crate::text::{did_you_mean, quoted};

type Set<S> = Box<dyn Fn(&mut S, &str) -> Result<(), String> + Send + Sync>;
type Entry<S> = Box<dyn Fn(&S) -> Option<toml::Value> + Send + Sync>;

/// An option of the struct `S`.
pub struct OptionOf<S> {
    /// What is known of it.
    pub spec: Spec,
    set: Set<S>,
    entry: Entry<S>,
}

impl<S> OptionOf<S> {
    /// An option that is read by `set` and written by `entry`.
    pub fn new(
        spec: Spec,
        set: impl Fn(&mut S, &str) -> Result<(), String> + Send + Sync + 'static,
        entry: impl Fn(&S) -> Option<toml::Value> + Send + Sync + 'static,
    ) -> Self {
        OptionOf { spec, set: Box::new(set), entry: Box::new(entry) }
    }

    /// Gives it the value of a text.
    ///
    /// # Errors
    /// The values that are valid, such as "expected a number above 0".
    pub fn set(&self, options: &mut S, text: &str) -> Result<(), String> {
        (self.set)(options, text)
    }

    /// Its value in a TOML file; none if it has none.
    pub fn entry(&self, options: &S) -> Option<toml::Value> {
        (self.entry)(options)
    }
}

/// A struct of options, as [`options!`](crate::options!) declares it.
pub trait OptionSet: Default + 'static {
    /// Its options, in the order of their definition.
    fn table() -> &'static [OptionOf<Self>];

    /// What is known of its options, in the order of their definition.
    fn specs() -> impl Iterator<Item = &'static Spec> {
        Self::table().iter().map(|option| &option.spec)
    }

    /// What is known of the option with this name or alias.
    fn spec(name: &str) -> Option<&'static Spec> {
        Self::specs().find(|spec| spec.is_called(name))
    }

    /// Gives an option, by its name or an alias, the value of a text.
    ///
    /// # Errors
    /// An unknown name, with the most similar one; a value that the option does not take, with those that it takes.
    fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let option = Self::table().iter().find(|option| option.spec.is_called(name));
        let option = option.ok_or_else(|| unknown::<Self>(name))?;
        option.set(self, text).map_err(|problem| {
            let problem = if text.is_empty() { "it cannot be empty" } else { &problem };
            format!("invalid value {} for `{name}`: {problem}", quoted(text))
        })
    }

    /// The value of an option, by its name or an alias; none if there is no such option, or it has no value.
    fn get(&self, name: &str) -> Option<toml::Value> {
        Self::table().iter().find(|option| option.spec.is_called(name))?.entry(self)
    }

    /// The options that have a value, as (name, value), in the order of their definition.
    fn entries(&self) -> Vec<(&'static str, toml::Value)> {
        let entry = |option: &'static OptionOf<Self>| Some((option.spec.name, option.entry(self)?));
        Self::table().iter().filter_map(entry).collect()
    }
}

fn unknown<O: OptionSet>(name: &str) -> String {
    let names: Vec<_> = O::specs().map(|spec| spec.name).collect();
    let hint = did_you_mean(name, names.iter().copied()).unwrap_or_else(|| ".".to_string());
    let more = if names.len() > SHOWN { ", …" } else { "" };
    let shown = names.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
    format!("unknown option {}{hint} The options are {shown}{more}", quoted(name))
}

/// The maximum number of options in an error.
const SHOWN: usize = 60;

/// Declares a struct of options: one field an option, its doc comment the help, and behind `=` the rest of its definition
/// ([`option`](crate::option), [`flag`](crate::flag), or [`nested`](crate::nested) for another struct of options).
///
/// The struct is `Debug`, `Clone` and `PartialEq`, has the defaults, and is an [`OptionSet`].
#[macro_export]
macro_rules! options {
    (
        $(#[$($meta:tt)*])*
        $visible:vis struct $name:ident {
            $(
                $(#[$($doc:tt)*])*
                $field_visible:vis $field:ident: $type:ty = $member:expr
            ),* $(,)?
        }
    ) => {
        $(#[$($meta)*])*
        #[derive(Debug, Clone, PartialEq)]
        $visible struct $name {
            $($(#[$($doc)*])* $field_visible $field: $type,)*
        }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                Self { $($field: ($member).initial(),)* }
            }
        }

        impl $crate::OptionSet for $name {
            fn table() -> &'static [$crate::OptionOf<Self>] {
                static TABLE: ::std::sync::LazyLock<::std::vec::Vec<$crate::OptionOf<$name>>> =
                    ::std::sync::LazyLock::new(|| {
                        let mut table = ::std::vec::Vec::new();
                        $(table.extend(($member).within(
                            stringify!($field),
                            concat!($($crate::doc_text!($($doc)*)),*),
                            |options: &$name| &options.$field,
                            |options: &mut $name| &mut options.$field,
                        ));)*
                        table
                    });
                &TABLE
            }
        }
    };
}

/// The text of an attribute that is a line of a doc comment.
#[doc(hidden)]
#[macro_export]
macro_rules! doc_text {
    (doc = $text:expr) => {
        concat!($text, "\n")
    };
    ($($other:tt)*) => {
        ""
    };
}
