//! What training made of the pictures.

use super::Report;
use crate::report::html::{embedded, escaped};

pub fn section(report: &Report) -> Option<String> {
    let sheet = report.sheet.as_ref()?;
    Some(format!(
        "<p>Each row begins with a picture as it is, and goes on with what <code>--augment {}</code> may make of it.</p>\n\
         <img class=\"sheet\" src=\"{}\" alt=\"Augmented pictures\">\n",
        escaped(&report.config.augment),
        embedded(sheet)
    ))
}
