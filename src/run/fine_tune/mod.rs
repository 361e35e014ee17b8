//! Fine-tunes a model on corrections and promotes it if it is better.

mod comparison;
mod control;
mod promotion;

use crate::error::{Error, Result};
use crate::options::{Config, SPLIT_OPTIONS, Setting};
use crate::run::FinishedRun;
use crate::run::RunFolder;
use crate::run::examples::with_stored_tokenizer;

pub use comparison::{Comparison, ExampleResult, PairedResults, compare};
pub use control::train_control;
pub use promotion::{Objection, PREVIOUS, Promotion, objections, promote};

/// Options that, like those of the split, cannot change in fine-tuning.
const FIXED_OPTIONS: [&str; 13] = [
    "image_size",
    "tokenizer",
    "vocab_size",
    "max_length",
    "char_ngrams",
    "normalization",
    "model",
    "model_options",
    "init",
    "pretrained",
    "init_key",
    "fresh_head",
    "seed",
];

/// The options for fine-tuning the model of `run`. `config` has the options of the run, overridden by the `given` ones.
///
/// ```
/// use cresset::options::Setting;
/// use cresset::prelude::*;
/// use cresset::run::{RunFolder, fine_tune};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let options = Config { epochs: 3, ..Config::default() };
/// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
/// let run = RunFolder::open(fitted.folder())?;
/// let config = Config { feedback: Some("feedback".into()), ..Config::read(&run.config_file())? };
/// let options = fine_tune::options(&run, config.clone(), &[])?;
/// // Fine-tuning starts from the weights of the run.
/// assert_eq!(options.init, Some(run.model()));
/// let seed = Setting { name: "seed", value: "3".to_string() };
/// assert!(fine_tune::options(&run, config, &[seed]).is_err());
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// A run without a model, an option that cannot change, or no corrections.
pub fn options(run: &RunFolder, config: Config, given: &[Setting]) -> Result<Config> {
    let fixed = [&FIXED_OPTIONS[..], &SPLIT_OPTIONS].concat();
    if let Some(Setting { name, .. }) = given.iter().find(|setting| fixed.contains(&setting.name)) {
        let problem = format!(
            "--{} cannot be changed with --from, which uses the model and the data of {}",
            name.replace('_', "-"),
            run.path().display()
        );
        return Err(Error::Usage(problem));
    }
    let model = FinishedRun::model(run, &config)?;
    if config.feedback.is_none() {
        let problem = "--from requires --feedback DIR with corrections; to start from the weights of a file, \
                       use --init";
        return Err(Error::Usage(problem.to_string()));
    }
    let is_given = |name: &str| given.iter().any(|setting| setting.name == name);
    // Use all current corrections, not only those of the old run.
    let feedback_rows = config.feedback_rows.filter(|_| is_given("feedback_rows"));
    let feedback_weight = config.feedback_weight.filter(|_| is_given("feedback_weight"));
    let accept_contradictions = config.accept_contradictions.filter(|_| is_given("accept_contradictions"));
    let init = Some(model);
    // The rows of the model belong to the tokens of its vocabulary.
    let reading = with_stored_tokenizer(&config.reading, run);
    Ok(Config {
        reading,
        accept_contradictions,
        init,
        pretrained: None,
        init_key: None,
        fresh_head: false,
        feedback_rows,
        feedback_weight,
        ..config
    })
}
