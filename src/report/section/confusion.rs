//! The confusion matrix.

use super::Report;
use crate::evaluate::{ConfusionMatrix, picture};
use crate::report::html::{escaped, image_url};

/// With more classes than this, the matrix is shown as an image with a list of pairs.
const MAX_CELLS: usize = 24;

/// Maximum number of listed pairs.
const LISTED: usize = 15;

pub fn section(report: &Report) -> Option<String> {
    let confusion = report.evaluation.confusion()?;
    let classes = &report.metadata.classes;
    let matrix = if classes.len() <= MAX_CELLS { table(classes, confusion) } else { as_image(confusion) };
    Some(format!(
        "<p class=\"soft\">Rows are actual classes, columns are predicted classes; a stronger color is a greater share of the \
         row.</p>\n{matrix}{}",
        pairs(classes, confusion)
    ))
}

fn table(classes: &[String], confusion: &ConfusionMatrix) -> String {
    let names: Vec<String> = classes.iter().map(|class| escaped(class)).collect();
    let heads: String =
        names.iter().map(|name| format!("<th title=\"{name}\" scope=\"col\">{name}</th>")).collect();
    let cell = |actual: usize, predicted: usize| {
        let count = confusion.count(actual, predicted);
        if count == 0 {
            return "<td></td>".to_string();
        }
        let share = count as f64 / confusion.support(actual) as f64;
        let kind = if actual == predicted { "right" } else { "wrong" };
        format!(
            "<td class=\"{kind}\" style=\"--share:{:.2}\" title=\"actual {}, predicted {}: {count}\">{count}</td>",
            // The square root makes single errors visible.
            0.6 * share.sqrt().max(0.25),
            names[actual],
            names[predicted]
        )
    };
    let row = |actual: usize| {
        let cells: String = (0..classes.len()).map(|predicted| cell(actual, predicted)).collect();
        format!("<tr><th title=\"{0}\" scope=\"row\">{0}</th>{cells}</tr>\n", names[actual])
    };
    let rows: String = (0..classes.len()).map(row).collect();
    format!(
        "<div class=\"wide\"><table class=\"confusion\"><tr><td></td>{heads}</tr>\n{rows}</table></div>\n"
    )
}

fn as_image(confusion: &ConfusionMatrix) -> String {
    let image = picture::confusion(confusion);
    format!("<img class=\"sheet\" src=\"{}\" alt=\"The confusion matrix\">\n", image_url(&image))
}

/// The most frequent confusions.
fn pairs(classes: &[String], confusion: &ConfusionMatrix) -> String {
    let all =
        (0..classes.len()).flat_map(|actual| (0..classes.len()).map(move |predicted| (actual, predicted)));
    let wrong = all.filter(|(actual, predicted)| actual != predicted);
    let mut pairs: Vec<_> =
        wrong.map(|(actual, predicted)| (confusion.count(actual, predicted), actual, predicted)).collect();
    pairs.retain(|(count, ..)| *count > 0);
    pairs.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
    if pairs.is_empty() {
        return "<p>There are no errors.</p>\n".to_string();
    }
    let row = |(count, actual, predicted): &(u64, usize, usize)| {
        let share = 100. * *count as f64 / confusion.support(*actual) as f64;
        let (actual, predicted) = (escaped(&classes[*actual]), escaped(&classes[*predicted]));
        format!("<tr><td>{actual}</td><td>{predicted}</td><td>{count}</td><td>{share:.1} %</td></tr>")
    };
    format!(
        "<details open><summary>Most frequent confusions</summary><div class=\"wide\"><table><tr><th>actual</th>\
         <th>predicted</th><th>examples</th><th>share of the class</th></tr>{}</table></div></details>\n",
        pairs.iter().take(LISTED).map(row).collect::<String>()
    )
}
