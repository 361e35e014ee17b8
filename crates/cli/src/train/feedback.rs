//! `cresset train --from RUN --feedback DIR`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cresset::data::terminal;
use cresset::options::Config;
use cresset::run::Examples;
use cresset::run::RunFolder;
use cresset::run::fine_tune::{self, Comparison, PREVIOUS, objections, promote};

use super::Train;
use crate::screen::tell;
use crate::{Ended, events, show};

/// Fine-tunes the model of a run on corrections, compares it with the old one, and replaces that with `--promote`.
pub fn run(train: &Train, from: &RunFolder, stop_flag: &Arc<AtomicBool>) -> anyhow::Result<Ended> {
    let config = Config::overlay(Some(&from.config_file()), train.given())?;
    let config = fine_tune::options(from, config, train.given())?;
    // Fails if the data has changed since the run, because the validation split would differ.
    Examples::reopen_without_corrections(&config, from)?;
    let Some(folder) = train.fine_tune(&config, stop_flag)? else { return Ok(Ended::Interrupted) };
    let control = if train.wants_promotion() {
        show("training the old model equally long without the corrections, for comparison\n\n")?;
        let control = fine_tune::train_control(&folder, &|| stop_flag.load(Ordering::Relaxed))?;
        let Some(control) = control else {
            events::interrupted(&folder, None);
            tell("interrupted; the state is saved. Resume with the same command and");
            tell(&format!("  --continue --out {}", terminal::argument(folder.path())));
            return Ok(Ended::Interrupted);
        };
        Some(control)
    } else {
        None
    };
    let device = config.device.resolve()?;
    let comparison = fine_tune::compare(&from.model(), &folder, control.as_ref(), device)?;
    events::compared(from, &folder, &comparison);
    show(&format!(
        "before → after\n{}\nwritten to {}/\n",
        comparison.to_text(),
        terminal::path(folder.path())
    ))?;
    if train.wants_promotion() { decide(&comparison, from, &folder) } else { Ok(Ended::Well) }
}

fn decide(comparison: &Comparison, from: &RunFolder, new: &RunFolder) -> anyhow::Result<Ended> {
    let against = objections(comparison);
    if against.is_empty() {
        let done = promote(from, new)?;
        events::promotion(from, Ok(&done));
        show(&format!(
            "promoted: {} is now the new model (SHA-256 {}…); the old one was renamed to {PREVIOUS}\n",
            from.model().display(),
            &done.sha256[..12]
        ))?;
        return Ok(Ended::Well);
    }
    events::promotion(from, Err(&against));
    tell(&format!(
        "not promoted: {} was left unchanged, because the new model has a problem:",
        from.model().display()
    ));
    against.iter().for_each(|objection| tell(&format!("  {}", objection.text())));
    Ok(Ended::Badly)
}
