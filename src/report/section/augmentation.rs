//! Augmented training images.

use super::Report;
use crate::report::html::{escaped, image_url};

pub fn section(report: &Report) -> Option<String> {
    let sheet = report.sheet.as_ref()?;
    Some(format!(
        "<p>Each row shows an original image and random augmentations of it with <code>--augment {}</code>.</p>\n\
         <img class=\"sheet\" src=\"{}\" alt=\"Augmented images\">\n",
        escaped(&report.config.augment),
        image_url(sheet)
    ))
}
