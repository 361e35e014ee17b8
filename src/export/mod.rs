//! Exports trained models to files for other programs.

mod format;
mod metadata;
mod onnx;
mod parts;
pub(crate) mod proto;
mod pt2;
mod pth;
pub(crate) mod ranking;
mod recording;
mod safetensors;
mod table;
mod texts;
pub mod tokenizer;
mod torchscript;
pub mod usage;
mod variant;
mod verification;
mod zip_archive;

pub use format::{EXPORT_FORMATS, ExportFormat, ExportedModel};
pub(crate) use metadata::warn_without_threshold;
pub(crate) use metadata::without_metadata;
pub use metadata::{
    Compression, Evaluations, FORMAT, InputDescription, METADATA, Metadata, Metrics, Sizing, TestMetrics,
};
pub use parts::{FilePart, file_parts};
pub(crate) use torchscript::{MEMBERS, OOD_BANK, define_features};
pub use torchscript::{torchscript, with_preprocessing};
pub use variant::{Dtype, Variant, Variants};
pub use verification::{SAMPLES, VERIFICATION, Verification, VerificationResult};
