//! `cresset train --folds K` and `--find-label-errors`

use cresset::data::terminal;
use cresset::evaluate::METRICS;
use cresset::options::Config;
use cresset::run::RunFolder;
use cresset::run::{self, CrossValidation, FoldFigures, Outcome, Spread, spread};

use super::{interrupted, introduction, notes, warn_of_data};
use crate::progress::Progress;
use crate::{Ended, show, thousands};

/// The folds by which wrong labels are found where the run has none.
const FOLDS: u32 = 5;

/// Trains all folds that are not complete, and shows the figures.
pub fn run(
    folds: &CrossValidation,
    find_label_errors: bool,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<Ended> {
    let again = if find_label_errors { " --find-label-errors" } else { "" };
    let again = format!("{}{again}", terminal::argument(folds.folder().path()));
    if let Ended::Interrupted = train(folds, &again, stop)? {
        return Ok(Ended::Interrupted);
    }
    show(&table(&folds.figures()?))?;
    show(&format!(
        "\nwritten to {}/folds.csv; each fold is a run of its own\n",
        terminal::path(folds.folder().path())
    ))?;
    if find_label_errors {
        rank(folds, folds.folder())?;
    }
    Ok(Ended::Well)
}

/// Trains models that did not see what they judge, and ranks the labels of the run's examples by them.
pub fn find_label_errors(config: &Config, run: &RunFolder, stop: &dyn Fn() -> bool) -> anyhow::Result<Ended> {
    let folds = config.folds.or(Some(FOLDS));
    let config = Config { folds, fold: None, feedback: None, ..config.clone() };
    let path = run.path().join("label-errors");
    let folds = match RunFolder::open(&path) {
        Ok(folder) => CrossValidation::open(&config, folder)?,
        Err(_) => CrossValidation::start(&config, Some(&path))?,
    };
    show("\nlooking for wrong labels\n")?;
    let again = format!("{} --find-label-errors", terminal::argument(run.path()));
    if let Ended::Interrupted = train(&folds, &again, stop)? {
        return Ok(Ended::Interrupted);
    }
    rank(&folds, run)?;
    Ok(Ended::Well)
}

/// Trains all folds that are not complete; `again` is what `--resume` takes to go on with an interrupted one.
fn train(folds: &CrossValidation, again: &str, stop: &dyn Fn() -> bool) -> anyhow::Result<Ended> {
    while let Some((fold, run)) = folds.next()? {
        // All folds are of the same data.
        if fold == 1 {
            warn_of_data(&run);
        }
        show(&format!("fold {fold} of {}\n{}", folds.folds(), introduction(&run)))?;
        match run::finish(run, &mut Progress::new(), stop)? {
            Outcome::Interrupted { epoch, step } => return Ok(interrupted(again, epoch, step)),
            Outcome::Trained(trained) => show(&notes(&trained))?,
            Outcome::Helped => {}
        }
        show("\n")?;
    }
    Ok(Ended::Well)
}

fn rank(folds: &CrossValidation, run: &RunFolder) -> anyhow::Result<()> {
    let output = run.path().join("label_errors.csv");
    let found = run::find_label_errors(folds, &output)?;
    show(&format!(
        "{} of {} labels are probably wrong; {} ranks all labels, the most suspicious first\n",
        thousands(found.errors),
        thousands(found.ranked),
        terminal::path(&output)
    ))
}

fn table(figures: &[FoldFigures]) -> String {
    let mut text = format!("{:>16}  {:>6}  {:>15}", "fold", "rows", "loss");
    let shown: Vec<_> = METRICS.iter().enumerate().filter(|(_, metric)| metric.is_headline).collect();
    shown.iter().for_each(|(_, metric)| text += &format!("  {:>17}", metric.name));
    text.push('\n');
    for fold in figures {
        text += &format!("{:>16}  {:>6}  {:>15.4}", fold.fold, fold.rows, fold.loss);
        shown.iter().for_each(|(index, _)| text += &format!("  {:>15.2} %", 100. * share(fold, *index)));
        text.push('\n');
    }
    let Spread { mean, deviation } = spread(figures, |fold| fold.loss);
    text += &format!("{:>16}  {:>6}  {:>15}", "mean ± deviation", "", format!("{mean:.4} ± {deviation:.4}"));
    for (index, _) in shown {
        let Spread { mean, deviation } = spread(figures, |fold| 100. * share(fold, index));
        text += &format!("  {:>17}", format!("{mean:.2} ± {deviation:.2} %"));
    }
    text + "\n"
}

/// A metric that has a value on any rows.
fn share(fold: &FoldFigures, index: usize) -> f64 {
    fold.metrics[index].unwrap_or_default()
}
