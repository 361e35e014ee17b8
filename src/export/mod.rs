//! A trained model as a file that other programs load.

mod metadata;
mod torchscript;

pub use metadata::{FORMAT, Found, InputDescription, METADATA, Metadata, Metrics, TestMetrics};
pub use torchscript::torchscript;
