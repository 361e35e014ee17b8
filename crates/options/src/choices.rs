//! Values that are chosen by name.

use crate::Choice;
use crate::text::did_you_mean;

/// The name of the choice that `text` names, also by an alias.
///
/// # Errors
/// The names that there are.
pub fn pick(choices: &[Choice], text: &str) -> Result<&'static str, String> {
    let known = choices.iter().find(|choice| choice.name == text || choice.aliases.contains(&text));
    known.map(|choice| choice.name).ok_or_else(|| not_among(choices, text))
}

/// Why `text` names none of the choices: the names that there are.
pub fn not_among(choices: &[Choice], text: &str) -> String {
    let names: Vec<_> = choices.iter().map(|choice| choice.name).collect();
    let hint = did_you_mean(text, names.iter().copied()).unwrap_or_default();
    format!("expected one of {}{hint}", names.join(", "))
}

/// Declares an enum whose values are chosen by name: `Variant = "name"`, or `Variant = "name" | "alias"`. The doc comment of a
/// variant is its help.
///
/// The enum is `Debug`, `Clone`, `Copy` and `Eq`, is shown as its name, and is read back from it.
#[macro_export]
macro_rules! choices {
    (
        $(#[$($meta:tt)*])*
        $visible:vis enum $name:ident {
            $(
                $(#[$($doc:tt)*])*
                $variant:ident = $text:literal $(| $alias:literal)*
            ),* $(,)?
        }
    ) => {
        $(#[$($meta)*])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visible enum $name {
            $($(#[$($doc)*])* $variant,)*
        }

        impl $name {
            /// The name, as on the command line and in run files.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::std::string::String;

            fn from_str(text: &str) -> ::std::result::Result<Self, ::std::string::String> {
                match text {
                    $($text $(| $alias)* => Ok($name::$variant),)*
                    _ => Err($crate::not_among(&<Self as $crate::Text>::choices(), text)),
                }
            }
        }

        impl $crate::Text for $name {
            fn choices() -> ::std::vec::Vec<$crate::Choice> {
                vec![$($crate::Choice {
                    name: $text,
                    aliases: &[$($alias),*],
                    help: $crate::help(concat!($($crate::doc_text!($($doc)*)),*)),
                }),*]
            }
        }
    };
}
