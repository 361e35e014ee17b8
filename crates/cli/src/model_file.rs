//! The model file that an argument means: a file, the model of a run folder, or one on the Hugging Face hub.

use std::path::{Path, PathBuf};

use cresset::error::Result;
use cresset::model::pretrained::{self, HUB};
use cresset::run::RunFolder;

use super::progress::with_bar;

/// The name of the model file on the hub.
const MODEL: &str = "model.pt";

/// The path of the model file of a file, a run folder, or `hf:USER/NAME`, which is downloaded if it is not in the cache.
///
/// # Errors
/// A folder that holds no run, and a model that cannot be downloaded.
pub fn model_file(argument: &Path) -> Result<PathBuf> {
    match argument.to_str().and_then(|text| text.strip_prefix(HUB)) {
        Some(id) => Ok(pretrained::hub_file(id, MODEL, &mut with_bar())?.0),
        None if argument.is_dir() => Ok(RunFolder::open(argument)?.model()),
        None => Ok(argument.to_path_buf()),
    }
}
