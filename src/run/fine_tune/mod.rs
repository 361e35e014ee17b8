//! A trained model learns from corrections, and takes the place of the old one if it deserves it.

mod comparison;
mod control;
mod promotion;

use crate::error::{Error, Result};
use crate::options::{Config, DECIDE_THE_ROWS, Setting};
use crate::run::Finished;
use crate::run::RunFolder;

pub use comparison::{Comparison, Judged, Pair, compare};
pub use control::train_control;
pub use promotion::{Objection, PREVIOUS, Promotion, objections, promote};

/// Options that, like those that decide the rows, cannot be given when a model is fine-tuned: it would be another one.
const OF_THE_RUN: [&str; 7] =
    ["image_size", "model", "model_options", "init", "init_key", "fresh_head", "seed"];

/// The options to fine-tune the model of `run` with. `config` has those of the run with the `given` ones over them.
///
/// # Errors
/// A run without a model, options that are the run's own, and no corrections.
pub fn options(run: &RunFolder, config: Config, given: &[Setting]) -> Result<Config> {
    let fixed = [&OF_THE_RUN[..], &DECIDE_THE_ROWS].concat();
    if let Some(Setting { name, .. }) = given.iter().find(|setting| fixed.contains(&setting.name)) {
        let problem = format!(
            "--{} cannot be changed by --from, which goes on with the model and the data of {}",
            name.replace('_', "-"),
            run.path().display()
        );
        return Err(Error::Usage(problem));
    }
    let model = Finished::model(run, &config)?;
    if config.feedback.is_none() {
        let problem = "--from goes with --feedback DIR, the corrections to learn from; to begin with the weights of a file \
                       alone, use --init";
        return Err(Error::Usage(problem.to_string()));
    }
    let is_given = |name: &str| given.iter().any(|setting| setting.name == name);
    // The corrections are all that there are now, however many the run was trained on.
    let feedback_rows = config.feedback_rows.filter(|_| is_given("feedback_rows"));
    let feedback_weight = config.feedback_weight.filter(|_| is_given("feedback_weight"));
    let accept_contradictions = config.accept_contradictions.filter(|_| is_given("accept_contradictions"));
    let init = Some(model);
    Ok(Config {
        accept_contradictions,
        init,
        init_key: None,
        fresh_head: false,
        feedback_rows,
        feedback_weight,
        ..config
    })
}
