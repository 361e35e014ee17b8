//! The most confident errors.

use super::Report;
use crate::report::html::{embedded, escaped};
use crate::report::mistakes::Mistake;

pub fn section(report: &Report) -> Option<String> {
    if report.mistakes.is_empty() {
        return Some("<p>There are no errors on the validation set.</p>\n".to_string());
    }
    let has_pictures = report.mistakes.iter().any(|mistake| mistake.seen.is_some());
    let what = if has_pictures {
        "The heatmap next to each image shows the attribution: red supports the predicted class, blue opposes it."
    } else {
        "Below each example are the columns with the largest attribution to the predicted class, with their values."
    };
    let items: String =
        report.mistakes.iter().map(|mistake| item(mistake, &report.metadata.classes)).collect();
    Some(format!(
        "<p>Errors with the highest confidence; some may be label errors. {what}</p>\n<ul class=\"mistakes\">\n{items}</ul>\n"
    ))
}

fn item(mistake: &Mistake, classes: &[String]) -> String {
    let (truth, predicted) = (escaped(&classes[mistake.truth]), escaped(&classes[mistake.predicted]));
    let name = escaped(&mistake.name);
    let pictures = mistake.seen.as_ref().map_or(String::new(), |(picture, heat)| {
        let heat = heat.as_ref().map_or(String::new(), |heat| {
            format!("<img src=\"{}\" alt=\"Attribution to {predicted}\">", embedded(heat))
        });
        format!("<div class=\"pair\"><img src=\"{}\" alt=\"Example {name}\">{heat}</div>", embedded(picture))
    });
    let columns: String = mistake
        .columns
        .iter()
        .map(|(name, value, _)| {
            format!("<br>{} = {}", escaped(name), (f64::from(*value) * 1e4).round() / 1e4)
        })
        .collect();
    format!(
        "<li>{pictures}predicted <b class=\"fault\">{predicted}</b>, actual <b>{truth}</b>, confidence {:.1} %<br><span class=\"soft\">{name}{columns}</span></li>\n",
        100. * mistake.confidence
    )
}
