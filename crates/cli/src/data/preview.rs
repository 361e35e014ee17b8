//! `cresset data preview`

use std::io::Cursor;
use std::path::PathBuf;

use clap::Args;
use cresset::data::atomic;
use cresset::data::terminal;
use cresset::error::Error;
use cresset::loader::augment::{AUGMENTATIONS, Augmentation, PRESETS};
use cresset::loader::sheet::augmentation_sheet;

use super::Source;
use crate::Ended;
use crate::show;

/// Preview augmentations on example images, as a contact sheet
#[derive(Debug, Args)]
pub struct Preview {
    #[command(flatten)]
    source: Source,

    /// Augmentation, as in `cresset train --augment` [default: each transform and each preset, one per row]
    #[arg(long, value_name = "CHANGES")]
    augment: Option<String>,

    /// Number of rows with `--augment`
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=100))]
    rows: u32,

    /// Random seed
    #[arg(long, value_name = "N", default_value = "0")]
    seed: u64,

    /// Output file (PNG)
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
        if !dataset.is_image_data() {
            let problem =
                format!("{}: the examples are not images, so there is nothing to preview", self.source.data);
            return Err(Error::Usage(problem).into());
        }
        let sheet = augmentation_sheet(&dataset, &augmentations, self.seed)?;
        let mut bytes = Cursor::new(Vec::new());
        sheet.write_to(&mut bytes, image::ImageFormat::Png)?;
        atomic::write(&self.output, &bytes.into_inner())?;
        let mut text =
            format!("written to {}; each row begins with the original image\n", terminal::path(&self.output));
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
