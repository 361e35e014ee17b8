//! The types that options have.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Choice;
use crate::parse::within;

/// A single value, read from a text and written to TOML.
pub trait Item: Sized + 'static {
    /// Whether it is a number.
    const IS_NUMBER: bool = false;

    /// Reads it.
    ///
    /// # Errors
    /// What values are valid, such as "expected a number above 0".
    fn parse(text: &str) -> Result<Self, String>;

    /// The value in a TOML file.
    fn entry(&self) -> toml::Value;

    /// Its names, if it is chosen by name.
    fn choices() -> Vec<Choice> {
        Vec::new()
    }
}

/// A type of the caller whose text is read back as the same value.
pub trait Text: FromStr<Err = String> + Display + 'static {
    /// Whether it is a number, or may be one.
    const IS_NUMBER: bool = false;

    /// Its names, if it is chosen by name.
    fn choices() -> Vec<Choice> {
        Vec::new()
    }
}

impl<T: Text> Item for T {
    const IS_NUMBER: bool = <T as Text>::IS_NUMBER;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn entry(&self) -> toml::Value {
        self.to_string().into()
    }

    fn choices() -> Vec<Choice> {
        <T as Text>::choices()
    }
}

impl Item for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_string())
    }

    fn entry(&self) -> toml::Value {
        self.clone().into()
    }
}

impl Item for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }

    fn entry(&self) -> toml::Value {
        self.to_string_lossy().into_owned().into()
    }
}

impl Item for bool {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "it is `true` or `false`".to_string())
    }

    fn entry(&self) -> toml::Value {
        (*self).into()
    }
}

impl Item for f64 {
    const IS_NUMBER: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "expected a number".to_string())
    }

    fn entry(&self) -> toml::Value {
        (*self).into()
    }
}

impl Item for IpAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: std::net::AddrParseError| error.to_string())
    }

    fn entry(&self) -> toml::Value {
        self.to_string().into()
    }
}

macro_rules! unsigned {
    ($($integer:ty),*) => {$(
        impl Item for $integer {
            const IS_NUMBER: bool = true;

            fn parse(text: &str) -> Result<Self, String> {
                within(0..=<$integer>::MAX)(text)
            }

            /// TOML's integers end at 2^63 - 1; a larger one is written as a string.
            fn entry(&self) -> toml::Value {
                i64::try_from(*self).map_or_else(|_| self.to_string().into(), Into::into)
            }
        }
    )*};
}
unsigned!(u16, u32, u64);

/// The type of a field: an [`Item`], an optional one, or a list.
pub trait Value: Sized + 'static {
    /// What it holds.
    type Item: Item;

    /// Whether it holds several, separated by commas.
    const IS_LIST: bool = false;

    /// Reads it with a parser of its items.
    ///
    /// # Errors
    /// What the parser refuses.
    fn read(text: &str, parse: &dyn Fn(&str) -> Result<Self::Item, String>) -> Result<Self, String>;

    /// Its value without any text, if it can do without.
    fn absent() -> Option<Self>;

    /// Its value in a TOML file; none if there is nothing to write.
    fn entry(&self, of_item: fn(&Self::Item) -> toml::Value) -> Option<toml::Value>;
}

impl<T: Item> Value for T {
    type Item = T;

    fn read(text: &str, parse: &dyn Fn(&str) -> Result<T, String>) -> Result<Self, String> {
        parse(text)
    }

    fn absent() -> Option<Self> {
        None
    }

    fn entry(&self, of_item: fn(&T) -> toml::Value) -> Option<toml::Value> {
        Some(of_item(self))
    }
}

impl<T: Item> Value for Option<T> {
    type Item = T;

    fn read(text: &str, parse: &dyn Fn(&str) -> Result<T, String>) -> Result<Self, String> {
        parse(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn entry(&self, of_item: fn(&T) -> toml::Value) -> Option<toml::Value> {
        self.as_ref().map(of_item)
    }
}

impl<T: Item> Value for Vec<T> {
    type Item = T;

    const IS_LIST: bool = true;

    fn read(text: &str, parse: &dyn Fn(&str) -> Result<T, String>) -> Result<Self, String> {
        text.split(',').map(parse).collect()
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }

    fn entry(&self, of_item: fn(&T) -> toml::Value) -> Option<toml::Value> {
        Some(toml::Value::Array(self.iter().map(of_item).collect()))
    }
}
