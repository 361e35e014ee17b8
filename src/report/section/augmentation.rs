//! Augmented training images.

use super::Report;
use crate::report::html::{embedded, escaped};

pub fn section(report: &Report) -> Option<String> {
    let sheet = report.sheet.as_ref()?;
    Some(format!(
        "<p>Each row shows an original image and random augmentations of it with <code>--augment {}</code>.</p>\n\
         <img class=\"sheet\" src=\"{}\" alt=\"Augmented images\">\n",
        escaped(&report.config.augment),
        embedded(sheet)
    ))
}
