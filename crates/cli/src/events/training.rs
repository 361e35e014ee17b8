//! The events of a run: what the display shows, for programs.

use std::time::Instant;

use cresset::error::Result;
use cresset::export::Metadata;
use cresset::model::Network;
use cresset::options::device;
use cresset::run::{Prepared, Run, RunFolder};
use cresset::train::head::HeadFit;
use cresset::train::{Callback, EpochRecord, Flow, Training};
use serde_json::{Map, Value, json};

use super::{VERSION, emit};
use crate::progress::{INTERVAL, Pace};

/// A run starts or is resumed.
pub fn started(run: &Run) {
    let Prepared { dataset, split, network, device, threads, .. } = &run.prepared;
    let options: Map<String, Value> = run
        .config
        .entries()
        .into_iter()
        .map(|(name, value)| (name.to_string(), serde_json::to_value(value).unwrap_or_default()))
        .collect();
    let position = run.position();
    emit(
        "started",
        json!({
            "version": VERSION,
            "cresset": env!("CARGO_PKG_VERSION"),
            "run": run.folder.path(),
            "resumed": position.epoch > 1 || position.step > 0,
            "epoch": position.epoch,
            "step": position.step,
            "options": options,
            "recipe": run.config.provenance.recipe.as_ref().map(|recipe| recipe.lines()),
            "data": {
                "path": dataset.path,
                "task": dataset.task().name(),
                "classes": dataset.classes,
                "shape": dataset.shape.0,
                "train_rows": split.train_rows(),
                "validation_rows": split.validation.len(),
                "test_rows": split.test.len(),
            },
            "parameters": network.parameter_count(),
            "device": device::name(*device),
            "threads": threads,
            "processes": run.world.size(),
        }),
    );
}

/// The model is exported. `is_unchanged`: an earlier command did it.
pub fn finished(folder: &RunFolder, metadata: &Metadata, is_unchanged: bool) {
    let metrics = &metadata.metrics;
    let report = folder.report();
    emit(
        "finished",
        json!({
            "run": folder.path(),
            "unchanged": is_unchanged,
            "best_epoch": metrics.epoch,
            "task": metadata.outputs.task().name(),
            "classes": metadata.classes,
            "validation": {
                "rows": metrics.validation_rows,
                "loss": metrics.validation_loss,
                "metrics": metrics.validation,
            },
            "test": metrics.test.as_ref().map(|test| {
                json!({ "rows": test.rows, "loss": test.loss, "metrics": test.figures })
            }),
            "paths": {
                "model": folder.model(),
                "config": folder.config_file(),
                "metrics": folder.metrics(),
                "split": folder.split(),
                "checkpoint": folder.best_checkpoint(),
                "report": report.is_file().then_some(report),
            },
        }),
    );
}

/// Training ended before its last epoch, for this reason.
pub fn stopped_early(reason: &str) {
    emit("stopped_early", json!({ "reason": reason }));
}

/// Training was interrupted at this epoch and step of the run, which can be resumed; `None` if the run is complete and its
/// control was being trained.
pub fn interrupted(folder: &RunFolder, position: Option<(u32, usize)>) {
    let (epoch, step) = position.unzip();
    emit("interrupted", json!({ "run": folder.path(), "epoch": epoch, "step": step }));
}

/// Writes the events of the training loop.
pub struct TrainingEvents {
    folder: RunFolder,
    pace: Pace,
    shown: Instant,
}

impl TrainingEvents {
    /// The events of the run in `folder`.
    pub fn new(folder: &RunFolder) -> Self {
        TrainingEvents { folder: folder.clone(), pace: Pace::new(), shown: Instant::now() }
    }
}

impl Callback for TrainingEvents {
    fn head_fitted(&mut self, fit: &HeadFit) -> Result<()> {
        let attempts = fit.attempts.iter().map(|attempt| {
            json!({
                "setting": attempt.setting,
                "metrics": {
                    "train_loss": attempt.train_loss,
                    "train_accuracy": attempt.train_accuracy,
                    "validation_loss": attempt.validation_loss,
                    "validation_accuracy": attempt.validation_accuracy,
                },
                "seconds": attempt.seconds,
            })
        });
        emit("head", json!({ "head": fit.head, "best": fit.best, "attempts": attempts.collect::<Vec<_>>() }));
        Ok(())
    }

    fn step_ended(&mut self, training: &Training, network: &Network) -> Result<Flow> {
        if self.shown.elapsed() >= INTERVAL {
            self.shown = Instant::now();
            let figures = self.pace.figures(training, network.device());
            let position = training.position();
            emit(
                "progress",
                json!({
                    "epoch": position.epoch,
                    "epochs": training.plan().epochs,
                    "step": position.step,
                    "steps": training.steps(),
                    "train_loss": figures.loss,
                    "lr": figures.lr,
                    "examples_per_second": figures.rate,
                    "remaining_seconds": figures.remaining.map(|remaining| remaining.as_secs_f64()),
                    "memory_bytes": figures.memory,
                }),
            );
        }
        Ok(Flow::Continue)
    }

    fn checkpoint_saved(&mut self, training: &Training) -> Result<()> {
        let position = training.position();
        emit(
            "checkpoint",
            json!({
                "path": self.folder.last_checkpoint(),
                "epoch": position.epoch,
                "step": position.step,
            }),
        );
        Ok(())
    }

    fn epoch_ended(&mut self, training: &Training, _: &Network, record: &EpochRecord) -> Result<Flow> {
        let score = training.plan().outputs.task().score_column();
        let mut metrics = Map::from_iter([
            ("train_loss".to_string(), json!(record.train_loss)),
            (format!("train_{score}"), json!(record.train_accuracy)),
            ("validation_loss".to_string(), json!(record.validation_loss)),
            (format!("validation_{score}"), json!(record.validation_accuracy)),
        ]);
        if let Some(monitored) = record.score {
            metrics.insert("monitored".to_string(), json!(monitored));
        }
        let best = training.position().best;
        emit(
            "epoch",
            json!({
                "epoch": record.epoch,
                "epochs": training.plan().epochs,
                "metrics": metrics,
                "lr": record.lr,
                "seconds": record.seconds,
                "is_best": best.is_some_and(|best| best.epoch == record.epoch),
            }),
        );
        Ok(Flow::Continue)
    }
}
