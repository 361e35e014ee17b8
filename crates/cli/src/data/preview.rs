//! `cresset data preview`

use std::io::Cursor;
use std::path::PathBuf;

use clap::Args;
use cresset::data::atomic;
use cresset::data::terminal;
use cresset::error::Error;
use cresset::loader::augment::{AUGMENTATIONS, Augmentation, PRESETS};
use cresset::loader::sheet::contact_sheet;

use super::Source;
use crate::Ended;
use crate::show;

/// Show what augmentations make of pictures, as a contact sheet
#[derive(Debug, Args)]
pub struct Preview {
    #[command(flatten)]
    source: Source,

    /// What to show, as `cresset train --augment` takes it [default: each augmentation and each preset, a row each]
    #[arg(long, value_name = "CHANGES")]
    augment: Option<String>,

    /// Rows of the sheet, where `--augment` is given
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=100))]
    rows: u32,

    /// Seed of what is drawn
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,

    /// The sheet, a PNG file
    #[arg(long, value_name = "FILE", default_value = "preview.png")]
    output: PathBuf,
}

impl Preview {
    pub fn run(self) -> anyhow::Result<Ended> {
        let specs: Vec<String> = match &self.augment {
            Some(spec) => vec![spec.clone(); self.rows as usize],
            None => {
                let kinds = AUGMENTATIONS.iter().map(|kind| kind.name);
                kinds.chain(PRESETS.iter().map(|(name, _)| *name)).map(String::from).collect()
            }
        };
        let augmentations: Vec<Augmentation> =
            specs.iter().map(|spec| spec.parse().map_err(Error::Usage)).collect::<Result<_, _>>()?;
        let dataset = self.source.decoded()?;
        if !dataset.has_pictures() {
            let problem =
                format!("{}: its examples are no pictures, so nothing can be shown", self.source.data);
            return Err(Error::Usage(problem).into());
        }
        let sheet = contact_sheet(&dataset, &augmentations, self.seed)?;
        let mut bytes = Cursor::new(Vec::new());
        sheet.write_to(&mut bytes, image::ImageFormat::Png)?;
        atomic::write(&self.output, &bytes.into_inner())?;
        let mut text =
            format!("written to {}; each row begins with a picture as it is\n", terminal::path(&self.output));
        if self.augment.is_none() {
            for (number, spec) in (1..).zip(&specs) {
                let kind = AUGMENTATIONS.iter().find(|kind| kind.name == spec);
                let preset = PRESETS.iter().find(|(name, _)| name == spec);
                let what = kind.map(|kind| format!("{} [{}]", kind.summary, kind.usage()));
                let what = what
                    .or(preset.map(|(_, is)| if is.is_empty() { "nothing".into() } else { is.to_string() }));
                text += &format!("{number:>3}  {spec:<20} {}\n", what.unwrap_or_default());
            }
        }
        show(&text)?;
        Ok(Ended::Well)
    }
}
