//! Metrics of regression, where the target of an example is a number.

mod coverage;
mod errors;
mod interval;
#[cfg(test)]
mod tests;

pub use coverage::measure;
pub use errors::ErrorSums;
pub use interval::half_width;
