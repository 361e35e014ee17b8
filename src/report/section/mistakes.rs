//! The mistakes that the model is surest of.

use super::Report;
use crate::report::html::{embedded, escaped};
use crate::report::mistakes::Mistake;

pub fn section(report: &Report) -> Option<String> {
    if report.mistakes.is_empty() {
        return Some("<p>There is none among the held-out examples.</p>\n".to_string());
    }
    let has_pictures = report.mistakes.iter().any(|mistake| mistake.seen.is_some());
    let what = if has_pictures {
        "Beside each picture stands what the model saw in it: red speaks for the class that it chose, blue against it."
    } else {
        "Below each stand the columns that spoke for the wrong class most, with their values."
    };
    let items: String =
        report.mistakes.iter().map(|mistake| item(mistake, &report.metadata.classes)).collect();
    Some(format!(
        "<p>Those that the model is surest of; wrong labels are often among them. {what}</p>\n<ul class=\"mistakes\">\n{items}</ul>\n"
    ))
}

fn item(mistake: &Mistake, classes: &[String]) -> String {
    let (truth, predicted) = (escaped(&classes[mistake.truth]), escaped(&classes[mistake.predicted]));
    let name = escaped(&mistake.name);
    let pictures = mistake.seen.as_ref().map_or(String::new(), |(picture, heat)| {
        let heat = heat.as_ref().map_or(String::new(), |heat| {
            format!("<img src=\"{}\" alt=\"What speaks for {predicted} in it\">", embedded(heat))
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
        "<li>{pictures}<b>{truth}</b> taken for <b class=\"fault\">{predicted}</b>, {:.1} % sure<br><span class=\"soft\">{name}{columns}</span></li>\n",
        100. * mistake.confidence
    )
}
