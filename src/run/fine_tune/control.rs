//! The control of a fine-tuning: the old model trained equally long without the corrections. An improvement of both comes from
//! the additional epochs, not from the corrections.

use crate::error::Result;
use crate::options::Config;
use crate::run::RunFolder;
use crate::run::{self, Outcome};
use crate::train::Silent;

/// Folder of the control in the folder of the fine-tuned run.
const CONTROL: &str = "control";

/// Trains or resumes the control of a fine-tuned run. `None` if `stop` interrupted it.
///
/// # Errors
/// The errors of training.
pub fn train_control(new: &RunFolder, stop: &dyn Fn() -> bool) -> Result<Option<RunFolder>> {
    let config = Config::read(&new.config_file())?;
    let (feedback, feedback_rows, feedback_weight, accept_contradictions) = (None, None, None, None);
    let config = Config { feedback, feedback_rows, feedback_weight, accept_contradictions, ..config };
    let run = run::start_or_resume(&config, None, &new.path().join(CONTROL))?;
    let folder = run.folder.clone();
    Ok(match run::finish(run, &mut Silent, stop)? {
        Outcome::Interrupted { .. } => None,
        Outcome::Trained(_) | Outcome::CompletedOnRank0 => Some(folder),
    })
}
