//! Downloads on standard error: a progress bar, or a line per file without a terminal.

use cresset::distributed::World;
use cresset::error::Result;
use cresset::model::pretrained::Download;
use cresset::options::Config;
use cresset::run::{self, Resolved};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{BAR, is_plain};
use crate::screen;

/// Smaller files are downloaded in an instant, and not shown.
const MIN_BYTES: u64 = 1 << 20;

/// Downloads the data that the options name, applies the recipe, finds the pretrained weights of the options on all ranks, and shows
/// the downloads.
pub fn resolve(config: &Config, world: &World) -> Result<Resolved> {
    run::download_data_on(&config.data, world, &mut with_bar())?;
    Resolved::new(config, world)?.with_pretrained(world, &mut with_bar())
}

/// Downloads the data set of this name, if it is one that is downloaded, and shows the download.
pub fn download_data(data: &str) -> Result<()> {
    run::download_data(data, &mut with_bar())
}

/// Shows the progress of downloads.
pub fn with_bar() -> impl FnMut(Download) {
    let mut bar = DownloadBar { bar: ProgressBar::hidden(), file: String::new() };
    move |download| bar.update(&download)
}

/// The bar of the current file.
struct DownloadBar {
    bar: ProgressBar,
    file: String,
}

impl DownloadBar {
    fn update(&mut self, download: &Download) {
        if download.total.is_some_and(|total| total < MIN_BYTES) {
            return;
        }
        if self.file != download.file {
            self.begin(download);
        }
        self.bar.set_position(download.received);
    }

    fn begin(&mut self, download: &Download) {
        self.bar.finish_and_clear();
        self.file = download.file.to_string();
        let target = if is_plain() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let template = format!(
            "{{prefix}}  {{bar:{BAR}.cyan}} {{bytes}} of {{total_bytes}}, {{bytes_per_sec}}, {{eta}} left"
        );
        let style = ProgressStyle::with_template(&template).expect("the template is valid");
        self.bar = ProgressBar::with_draw_target(download.total, target)
            .with_style(style.progress_chars("━╸ "))
            .with_prefix(self.file.clone())
            .with_position(download.received);
        // The speed is that of this download.
        self.bar.reset_eta();
        if self.bar.is_hidden() {
            let size = download.total.map_or(String::new(), |total| format!(" ({})", HumanBytes(total)));
            screen::tell(&format!("downloading {}{size}", self.file));
        } else {
            screen::show_bar(&self.bar);
        }
    }
}

impl Drop for DownloadBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        screen::release();
    }
}
