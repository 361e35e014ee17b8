//! The most confident errors of classes and labels, and the largest errors of numbers.

use super::Report;
use crate::data::TaskKind;
use crate::report::errors::{ErrorKind, ShownError};
use crate::report::html::{escaped, image_url};

/// The most confident errors; none for numbers.
pub fn section(report: &Report) -> Option<String> {
    let (worst, output) = match report.metadata.outputs.task() {
        TaskKind::Classification => {
            ("Errors with the highest confidence; some may be label errors.", "the predicted class")
        }
        TaskKind::Multilabel => (
            "For each label, the false positives with the highest and the false negatives with the lowest probability; some may be \
             label errors.",
            "the label",
        ),
        TaskKind::Regression | TaskKind::Ranking => return None,
    };
    Some(list(report, worst, output))
}

/// The largest errors of numbers; none for other tasks.
pub fn largest(report: &Report) -> Option<String> {
    let is_value = report.metadata.outputs.task() == TaskKind::Regression;
    is_value
        .then(|| list(report, "The largest errors; some may be errors in the data.", "the predicted value"))
}

fn list(report: &Report, worst: &str, output: &str) -> String {
    if report.errors.is_empty() {
        return "<p>There are no errors on the validation set.</p>\n".to_string();
    }
    let has_images = report.errors.iter().any(|error| error.images.is_some());
    let has_texts = report.errors.iter().any(|error| error.text.is_some());
    let effect = if output == "the predicted value" {
        "raises it, blue lowers it"
    } else {
        "supports it, blue opposes it"
    };
    let what = if has_texts {
        format!("The color of each word shows its attribution to {output}: red {effect}.")
    } else if has_images {
        format!("The heatmap next to each image shows the attribution to {output}: red {effect}.")
    } else {
        format!(
            "Below each example are the columns with the largest attribution to {output} (Shapley values), with their values."
        )
    };
    let items: String =
        report.errors.iter().map(|error| list_item(error, &report.metadata.classes)).collect();
    let wider = if has_texts { " wider" } else { "" };
    format!("<p>{worst} {what}</p>\n<ul class=\"mistakes{wider}\">\n{items}</ul>\n")
}

fn list_item(error: &ShownError, classes: &[String]) -> String {
    let name = escaped(&error.name);
    let (output, what) = described(error.kind, classes);
    let images = error.images.as_ref().map_or(String::new(), |(image, heat)| {
        let heat = heat.as_ref().map_or(String::new(), |heat| {
            format!("<img src=\"{}\" alt=\"Attribution to {output}\">", image_url(heat))
        });
        format!("<div class=\"pair\"><img src=\"{}\" alt=\"Example {name}\">{heat}</div>", image_url(image))
    });
    let columns: String = error
        .columns
        .iter()
        .map(|(name, value, _)| format!("<br>{} = {}", escaped(name), escaped(value)))
        .collect();
    let text = error.text.as_ref().map_or(String::new(), |text| format!("<p class=\"text\">{text}</p>"));
    format!("<li>{images}{what}<br><span class=\"soft\">{name}{columns}</span>{text}</li>\n")
}

/// The explained output and the error, as HTML.
fn described(kind: ErrorKind, classes: &[String]) -> (String, String) {
    match kind {
        ErrorKind::Class { actual, predicted, confidence } => {
            let (actual, predicted) = (escaped(&classes[actual]), escaped(&classes[predicted]));
            let what = format!(
                "predicted <b class=\"fault\">{predicted}</b>, actual <b>{actual}</b>, confidence {:.1} %",
                100. * confidence
            );
            (predicted, what)
        }
        ErrorKind::Label { label, is_present, probability } => {
            let label = escaped(&classes[label]);
            let verdict = if is_present { "false negative" } else { "false positive" };
            let what =
                format!("<b class=\"fault\">{label}</b>, {verdict}, probability {:.1} %", 100. * probability);
            (label, what)
        }
        ErrorKind::Value { actual, predicted } => {
            let [actual, predicted] = [actual, predicted].map(super::number);
            let what = format!("predicted <b class=\"fault\">{predicted}</b>, actual <b>{actual}</b>");
            (escaped(&classes[0]), what)
        }
    }
}
