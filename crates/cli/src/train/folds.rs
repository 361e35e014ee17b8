//! `cresset train --folds K` and `--find-label-errors`

use cresset::data::terminal;
use cresset::evaluate::METRICS;
use cresset::options::Config;
use cresset::run::RunFolder;
use cresset::run::{self, CrossValidation, FoldFigures, Outcome, Spread, known_metrics, spread};
use cresset::train::Callback;

use super::summary::{introduction, notes, warn_about_data};
use super::{interrupted, report_end};
use crate::events::{self, TrainingEvents};
use crate::progress::Progress;
use crate::{Ended, show, thousands};

/// Number of folds for label errors if --folds is not given.
const FOLDS: u32 = 5;

/// Trains the unfinished folds and shows the metrics of all.
pub fn run(
    folds: &CrossValidation,
    find_label_errors: bool,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<Ended> {
    let option = if find_label_errors { " --find-label-errors" } else { "" };
    let resume_arguments = format!("{}{option}", terminal::argument(folds.folder().path()));
    if let Ended::Interrupted = train(folds, &resume_arguments, stop)? {
        return Ok(Ended::Interrupted);
    }
    let figures = folds.figures()?;
    events::cross_validated(folds.folder(), &figures);
    show(&table(&figures))?;
    show(&format!(
        "\nwritten to {}/folds.csv; each fold is a separate run\n",
        terminal::path(folds.folder().path())
    ))?;
    if find_label_errors {
        rank(folds, folds.folder())?;
    }
    Ok(Ended::Well)
}

/// Ranks the labels of the run's examples by out-of-fold predictions of cross-validated models.
pub fn find_label_errors(config: &Config, run: &RunFolder, stop: &dyn Fn() -> bool) -> anyhow::Result<Ended> {
    let folds = config.folds.or(Some(FOLDS));
    let config = Config { folds, fold: None, bag: 0, feedback: None, ..config.clone() };
    let path = run.path().join("label-errors");
    let folds = match RunFolder::open(&path) {
        Ok(folder) => CrossValidation::open(&config, folder)?,
        Err(_) => CrossValidation::start(&config, Some(&path))?,
    };
    show("\nfinding label errors\n")?;
    let resume_arguments = format!("{} --find-label-errors", terminal::argument(run.path()));
    if let Ended::Interrupted = train(&folds, &resume_arguments, stop)? {
        return Ok(Ended::Interrupted);
    }
    rank(&folds, run)?;
    Ok(Ended::Well)
}

/// Trains the unfinished folds; `resume_arguments` are those of `--resume` after an interruption.
fn train(folds: &CrossValidation, resume_arguments: &str, stop: &dyn Fn() -> bool) -> anyhow::Result<Ended> {
    while let Some((fold, run)) = folds.next()? {
        // All folds share the data.
        if fold == 1 {
            warn_about_data(&run);
        }
        events::started(&run);
        show(&format!("fold {fold} of {}\n{}", folds.folds(), introduction(&run)))?;
        let folder = run.folder.clone();
        let mut display: Box<dyn Callback> = match events::is_on() {
            true => Box::new(TrainingEvents::new(&folder)),
            false => Box::new(Progress::new()),
        };
        match run::finish(run, &mut *display, stop)? {
            Outcome::Interrupted { epoch, step } => {
                events::interrupted(&folder, Some((epoch, step)));
                return Ok(interrupted(resume_arguments, epoch, step));
            }
            Outcome::Trained(trained) => {
                show(&notes(&trained))?;
                report_end(&folder, &trained);
            }
            Outcome::CompletedOnRank0 => {}
        }
        show("\n")?;
    }
    Ok(Ended::Well)
}

fn rank(folds: &CrossValidation, run: &RunFolder) -> anyhow::Result<()> {
    let output = run.path().join("label_errors.csv");
    let found = run::find_label_errors(folds, &output)?;
    events::label_errors(&output, &found);
    show(&format!(
        "{} of {} labels are probably wrong; {} ranks all labels, most suspicious first\n",
        thousands(found.errors),
        thousands(found.ranked),
        terminal::path(&output)
    ))
}

fn table(folds: &[FoldFigures]) -> String {
    let mut text = format!("{:>16}  {:>6}  {:>15}", "fold", "rows", "loss");
    let known = known_metrics(folds).into_iter().map(|index| (index, &METRICS[index]));
    let shown: Vec<_> = known.filter(|(_, metric)| metric.is_headline).collect();
    shown.iter().for_each(|(_, metric)| text += &format!("  {:>19}", metric.name));
    text.push('\n');
    for fold in folds {
        text += &format!("{:>16}  {:>6}  {:>15.4}", fold.fold, fold.rows, fold.loss);
        for (index, metric) in &shown {
            let shown = fold.metrics[*index].map_or("–".to_string(), |value| metric.show(value));
            text += &format!("  {shown:>19}");
        }
        text.push('\n');
    }
    let Spread { mean, deviation } = spread(folds, |fold| fold.loss);
    text += &format!("{:>16}  {:>6}  {:>15}", "mean ± deviation", "", format!("{mean:.4} ± {deviation:.4}"));
    for (index, metric) in shown {
        // A metric that is undefined in a fold has no mean.
        let Spread { mean, deviation } = spread(folds, |fold| fold.metrics[index].unwrap_or(f64::NAN));
        let shown = match metric.is_share {
            true => format!("{:.2} ± {:.2} %", 100. * mean, 100. * deviation),
            false => format!("{mean:.4} ± {deviation:.4}"),
        };
        text += &format!("  {:>19}", if mean.is_nan() { "–" } else { &shown });
    }
    text + "\n"
}
