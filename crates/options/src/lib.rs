//! Options that are defined once.
//!
//! [`options!`] makes a struct of options from one declaration each: type, default, help, range and heading. The command line,
//! TOML files, the record of a run and the documentation all derive from it. [`choices!`] makes an enum whose values are chosen
//! by name. Neither knows of a parser of command lines; [`Spec`] holds what one needs.
//!
//! ```
//! use cresset_options::{OptionSet, choices, option, options, parse};
//!
//! choices! {
//!     /// Floating-point format.
//!     pub enum Precision {
//!         /// float32
//!         F32 = "f32",
//!         /// bfloat16
//!         Bf16 = "bf16",
//!     }
//! }
//!
//! options! {
//!     /// Training options.
//!     pub struct Training {
//!         /// Learning rate
//!         pub lr: f64 = option("RATE").default("0.001").parser(parse::positive),
//!         /// Floating-point format of the forward pass
//!         pub precision: Precision = option("FORMAT").default("f32"),
//!         /// Stop after this many epochs without improvement
//!         pub patience: Option<u32> = option("N"),
//!     }
//! }
//!
//! let mut training = Training::default();
//! training.set("precision", "bf16")?;
//! assert_eq!(training.precision, Precision::Bf16);
//! assert_eq!(training.set("lr", "-1").unwrap_err(), "invalid value `-1` for `lr`: expected a number above 0");
//! let names: Vec<_> = training.entries().into_iter().map(|(name, _)| name).collect();
//! assert_eq!(names, ["lr", "precision"]);
//! # Ok::<(), String>(())
//! ```

mod choices;
mod field;
pub mod headings;
pub mod number;
mod option_set;
pub mod parse;
mod spec;
pub mod text;
mod value;

pub use choices::{not_among, pick};
pub use field::{Field, Nested, flag, nested, option};
pub use option_set::{OptionOf, OptionSet};
pub use spec::{Choice, Spec, help};
pub use value::{Item, Text, Value};
