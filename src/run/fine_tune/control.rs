//! What a fine-tuned model is compared with, beside the old one: the old one trained for as long without the corrections. What both
//! gain comes from the additional epochs, and not from what people said.

use crate::error::Result;
use crate::options::Config;
use crate::run::RunFolder;
use crate::run::{self, Outcome};
use crate::train::Silent;

/// The folder of the control in the folder of the fine-tuned run.
const CONTROL: &str = "control";

/// Trains the control of a fine-tuned run, or goes on with it. None if it was asked to stop.
///
/// # Errors
/// Those of a training.
pub fn train_control(new: &RunFolder, stop: &dyn Fn() -> bool) -> Result<Option<RunFolder>> {
    let config = Config::read(&new.config_file())?;
    let (feedback, feedback_rows, feedback_weight, accept_contradictions) = (None, None, None, None);
    let config = Config { feedback, feedback_rows, feedback_weight, accept_contradictions, ..config };
    let run = run::start_or_go_on(&config, &new.path().join(CONTROL))?;
    let folder = run.folder.clone();
    Ok(match run::finish(run, &mut Silent, stop)? {
        Outcome::Interrupted { .. } => None,
        Outcome::Trained(_) | Outcome::Helped => Some(folder),
    })
}
