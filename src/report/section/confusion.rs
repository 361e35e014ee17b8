//! The confusion matrix.

use super::Report;
use crate::evaluate::picture;
use crate::report::html::{embedded, escaped};

/// With more classes than this, the matrix is shown as an image with a list of pairs.
const MOST_CELLS: usize = 24;

/// Maximum number of listed pairs.
const LISTED: usize = 15;

pub fn section(report: &Report) -> Option<String> {
    let classes = &report.metadata.classes;
    let matrix = if classes.len() <= MOST_CELLS { table(report) } else { as_picture(report) };
    Some(format!(
        "<p class=\"soft\">Rows are actual classes, columns are predicted classes; a stronger color is a greater share of the \
         row.</p>\n{matrix}{}",
        pairs(report)
    ))
}

fn table(report: &Report) -> String {
    let (classes, confusion) = (&report.metadata.classes, &report.found.confusion);
    let names: Vec<String> = classes.iter().map(|class| escaped(class)).collect();
    let heads: String =
        names.iter().map(|name| format!("<th title=\"{name}\" scope=\"col\">{name}</th>")).collect();
    let cell = |truth: usize, predicted: usize| {
        let count = confusion.count(truth, predicted);
        if count == 0 {
            return "<td></td>".to_string();
        }
        let share = count as f64 / confusion.support(truth) as f64;
        let kind = if truth == predicted { "right" } else { "wrong" };
        format!(
            "<td class=\"{kind}\" style=\"--share:{:.2}\" title=\"actual {}, predicted {}: {count}\">{count}</td>",
            // The square root makes single errors visible.
            0.6 * share.sqrt().max(0.25),
            names[truth],
            names[predicted]
        )
    };
    let row = |truth: usize| {
        let cells: String = (0..classes.len()).map(|predicted| cell(truth, predicted)).collect();
        format!("<tr><th title=\"{0}\" scope=\"row\">{0}</th>{cells}</tr>\n", names[truth])
    };
    let rows: String = (0..classes.len()).map(row).collect();
    format!(
        "<div class=\"wide\"><table class=\"confusion\"><tr><td></td>{heads}</tr>\n{rows}</table></div>\n"
    )
}

fn as_picture(report: &Report) -> String {
    let picture = picture::confusion(&report.found.confusion);
    format!("<img class=\"sheet\" src=\"{}\" alt=\"The confusion matrix\">\n", embedded(&picture))
}

/// The most frequent confusions.
fn pairs(report: &Report) -> String {
    let (classes, confusion) = (&report.metadata.classes, &report.found.confusion);
    let all =
        (0..classes.len()).flat_map(|truth| (0..classes.len()).map(move |predicted| (truth, predicted)));
    let wrong = all.filter(|(truth, predicted)| truth != predicted);
    let mut pairs: Vec<_> =
        wrong.map(|(truth, predicted)| (confusion.count(truth, predicted), truth, predicted)).collect();
    pairs.retain(|(count, ..)| *count > 0);
    pairs.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
    if pairs.is_empty() {
        return "<p>There are no errors.</p>\n".to_string();
    }
    let row = |(count, truth, predicted): &(u64, usize, usize)| {
        let share = 100. * *count as f64 / confusion.support(*truth) as f64;
        let (truth, predicted) = (escaped(&classes[*truth]), escaped(&classes[*predicted]));
        format!("<tr><td>{truth}</td><td>{predicted}</td><td>{count}</td><td>{share:.1} %</td></tr>")
    };
    format!(
        "<details open><summary>Most frequent confusions</summary><div class=\"wide\"><table><tr><th>actual</th>\
         <th>predicted</th><th>examples</th><th>share of the class</th></tr>{}</table></div></details>\n",
        pairs.iter().take(LISTED).map(row).collect::<String>()
    )
}
