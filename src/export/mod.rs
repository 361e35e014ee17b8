//! A trained model as a file that other programs load.

mod metadata;
mod torchscript;

pub use metadata::{FORMAT, InputDescription, METADATA, Metadata, Metrics};
pub use torchscript::torchscript;
