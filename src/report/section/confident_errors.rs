//! The most confident errors.

use super::Report;
use crate::report::confident_errors::ConfidentError;
use crate::report::html::{escaped, image_url};

pub fn section(report: &Report) -> Option<String> {
    if report.confident_errors.is_empty() {
        return Some("<p>There are no errors on the validation set.</p>\n".to_string());
    }
    let has_images = report.confident_errors.iter().any(|error| error.images.is_some());
    let what = if has_images {
        "The heatmap next to each image shows the attribution: red supports the predicted class, blue opposes it."
    } else {
        "Below each example are the columns with the largest attribution to the predicted class, with their values."
    };
    let items: String =
        report.confident_errors.iter().map(|error| list_item(error, &report.metadata.classes)).collect();
    Some(format!(
        "<p>Errors with the highest confidence; some may be label errors. {what}</p>\n<ul class=\"mistakes\">\n{items}</ul>\n"
    ))
}

fn list_item(error: &ConfidentError, classes: &[String]) -> String {
    let (actual, predicted) = (escaped(&classes[error.actual]), escaped(&classes[error.predicted]));
    let name = escaped(&error.name);
    let images = error.images.as_ref().map_or(String::new(), |(image, heat)| {
        let heat = heat.as_ref().map_or(String::new(), |heat| {
            format!("<img src=\"{}\" alt=\"Attribution to {predicted}\">", image_url(heat))
        });
        format!("<div class=\"pair\"><img src=\"{}\" alt=\"Example {name}\">{heat}</div>", image_url(image))
    });
    let columns: String = error
        .columns
        .iter()
        .map(|(name, value, _)| {
            format!("<br>{} = {}", escaped(name), (f64::from(*value) * 1e4).round() / 1e4)
        })
        .collect();
    format!(
        "<li>{images}predicted <b class=\"fault\">{predicted}</b>, actual <b>{actual}</b>, confidence {:.1} %<br><span class=\"soft\">{name}{columns}</span></li>\n",
        100. * error.confidence
    )
}
