//! Fits the options of a run, and the outputs of its model, to the task of its data.

use tch::Tensor;

use crate::data::options::Streaming;
use crate::data::{Dataset, Inputs, TaskKind};
use crate::error::{Error, Result};
use crate::evaluate::multilabel::tune;
use crate::evaluate::regression::half_width;
use crate::evaluate::{Evaluation, Scores};
use crate::loader::{ClassWeights, Sampling};
use crate::model::{Outputs, ValueInterval};
use crate::options::Config;
use crate::train::Monitor;
use crate::train::objective::{check_task, default_for};

/// The coverage of prediction intervals if none is given.
const INTERVAL: f64 = 0.9;

/// The options with the task of the data, and the loss of the task if none was given.
///
/// # Errors
/// Options that the task does not have.
pub(super) fn resolve(config: &Config, dataset: &Dataset) -> Result<Config> {
    let task = dataset.task();
    let mut config = config.clone();
    if matches!(dataset.inputs, Inputs::Stored(_)) {
        // A resumed run reads the rows in the same order, also where they would fit in memory.
        config.reading.stream = Streaming::Always;
    }
    if task == TaskKind::Ranking && !config.is_given("monitor") && config.training.monitor == Monitor::Loss {
        config.training.monitor = Monitor::Ndcg;
    }
    // New choices are told by the same rating, not by their own median.
    config.reading.min_rating = config.reading.min_rating.or(dataset.choices.min_rating.map(f64::from));
    if task == TaskKind::Ranking && config.mask_categories == 0. {
        let problem = "--mask-categories 0: a model of recommendations needs a share above 0, which trains the vectors of unknown users and items";
        return Err(Error::Usage(problem.to_string()));
    }
    if task == TaskKind::Classification {
        check_monitor(&config, task)?;
        check_task(&config.training.loss, task)?;
        return Ok(config);
    }
    config.reading.task = Some(task);
    if !config.is_given("loss") {
        config.training.loss = default_for(task).name.to_string();
    }
    check_task(&config.training.loss, task)?;
    check_monitor(&config, task)?;
    let needs_classes = [
        (config.sampling == Sampling::Balanced, "--sampling balanced"),
        (config.class_weights != ClassWeights::Equal, "--class-weights"),
        (config.coverage.is_some() && task == TaskKind::Multilabel, "--coverage"),
        (config.coverage.is_some() && task == TaskKind::Ranking, "--coverage"),
        (config.bag > 0 && task == TaskKind::Ranking, "--bag"),
        (config.ood.is_some(), "--ood"),
        (config.feedback.is_some(), "--feedback"),
        (config.training.head_only, "--head-only"),
    ];
    for (_, name) in needs_classes.into_iter().filter(|(is_used, _)| *is_used) {
        dataset.require_classes(name)?;
    }
    Ok(config)
}

/// Refuses a monitored metric that the task does not have.
fn check_monitor(config: &Config, task: TaskKind) -> Result<()> {
    let monitor = config.training.monitor;
    if monitor.is_for(task) {
        return Ok(());
    }
    let (name, task) = (monitor.name(), task.described());
    Err(Error::Usage(format!("--monitor {name} is not a metric of {task}; use --monitor loss")))
}

/// Fits the thresholds of labels, or the interval of a number, to the validation set. Also returns the evaluation with them.
pub(super) fn fitted_outputs(
    config: &Config,
    outputs: &Outputs,
    validation: Evaluation,
) -> (Outputs, Evaluation) {
    let fitted = match (outputs, &validation.scores) {
        (Outputs::Multilabel { .. }, Some(Scores { logits, labels })) => {
            Outputs::Multilabel { thresholds: tune(&outputs.probabilities(logits), labels) }
        }
        (Outputs::Regression { offset, scale, .. }, Some(Scores { logits, labels })) => {
            let interval = interval(&(logits - labels), config.coverage.unwrap_or(INTERVAL));
            Outputs::Regression { offset: *offset, scale: *scale, interval }
        }
        _ => return (outputs.clone(), validation),
    };
    let validation = match validation.scores {
        Some(scores) => Evaluation::of_scores(scores, &fitted),
        None => validation,
    };
    (fitted, validation)
}

fn interval(residuals: &Tensor, coverage: f64) -> Option<ValueInterval> {
    let residuals = Vec::<f64>::try_from(residuals.to_kind(tch::Kind::Double).view(-1)).expect("residuals");
    let half_width = half_width(&residuals, coverage);
    if half_width.is_none() {
        let rows = residuals.len();
        tracing::warn!(
            "the model gets no prediction intervals: {rows} validation examples are too few for a coverage of {coverage}"
        );
    }
    Some(ValueInterval { coverage, half_width: half_width? })
}
