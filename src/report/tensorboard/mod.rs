//! TensorBoard event files in the run folder, so that `tensorboard --logdir runs` lists all runs by name.

mod event_file;
mod summary;

use crate::error::Result;
use crate::evaluate::picture;
use crate::model::Network;
use crate::report::card::markdown::plain;
use crate::run::Run;
use crate::train::{Callback, EpochRecord, Flow, Training};
use event_file::EventFile;

/// Writes scalars, weight histograms and the confusion matrix after each epoch, and the options as hyperparameters.
///
/// ```
/// use cresset::distributed::World;
/// use cresset::prelude::*;
/// use cresset::report::tensorboard::TensorBoard;
/// use cresset::run;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("run");
/// let config = Config { data: "iris".into(), epochs: 2, ..Config::default() };
/// let run = run::start(&config, Some(&out), &World::alone())?;
/// let mut tensorboard = TensorBoard::create(&run)?;
/// run::finish(run, &mut tensorboard, &|| false)?;
/// tensorboard.end(true)?;
/// # let names: Vec<_> = out.read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
/// assert!(names.iter().any(|name| name.to_string_lossy().starts_with("events.out.tfevents")));
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    file: EventFile,
    classes: Vec<String>,
    epochs: u32,
    /// The score in the tags: `accuracy`, `f1` or `r2`.
    score: &'static str,
}

/// The tag of the loss on the HParams tab.
const VALIDATION_LOSS: &str = "loss/held_out";

impl TensorBoard {
    /// Creates an event file in the folder of a run before training.
    ///
    /// # Errors
    /// If the folder is not writable.
    pub fn create(run: &Run) -> Result<Self> {
        let finished = run.position().epoch - 1;
        let mut file = EventFile::create(run.folder.path())?;
        if finished > 0 {
            file.restart(i64::from(finished) + 1)?;
        }
        let options = run.config.portable_entries();
        let dataset = &run.prepared.dataset;
        let score = dataset.task().score_column();
        let metrics = [&*format!("{score}/held_out"), VALIDATION_LOSS];
        file.add(0, [summary::experiment(&metrics), summary::session_start(&options)])?;
        Ok(TensorBoard { file, classes: dataset.classes.clone(), epochs: finished, score })
    }

    /// Writes the end of the session: success if training is complete, else failure.
    pub fn end(mut self, is_complete: bool) -> Result<()> {
        self.file.add(self.epochs.into(), [summary::session_end(is_complete)])
    }

    /// The class names in the order of the rows and columns.
    fn legend(&self) -> String {
        // TensorBoard renders it as Markdown.
        let classes: Vec<_> = self.classes.iter().map(|class| plain(class)).collect();
        format!("Rows: actual classes, columns: predicted classes: {}", classes.join(", "))
    }
}

impl Callback for TensorBoard {
    fn epoch_ended(&mut self, training: &Training, network: &Network, record: &EpochRecord) -> Result<Flow> {
        self.epochs = record.epoch;
        let score = self.score;
        let mut values: Vec<_> = [
            ("loss/train", record.train_loss),
            (VALIDATION_LOSS, record.validation_loss),
            (&*format!("{score}/train"), record.train_accuracy),
            (&*format!("{score}/held_out"), record.validation_accuracy),
            ("learning_rate", record.lr),
            ("seconds", record.seconds),
        ]
        .map(|(tag, value)| summary::scalar(tag, value))
        .into();
        let weights = network.parameters();
        values.extend(
            weights
                .iter()
                .filter_map(|(name, weight)| summary::histogram(&format!("weights/{name}"), weight)),
        );
        if let Some(confusion) = training.confusion() {
            let image = picture::confusion(confusion);
            values.push(summary::image("confusion/held_out", &image, &self.legend()));
        }
        self.file.add(record.epoch.into(), values)?;
        Ok(Flow::Continue)
    }
}
