//! Metrics of each class and of the whole model; none for other tasks.

use super::{Report, metric_table};
use crate::evaluate::ClassMetrics;
use crate::evaluate::numbers::{percent, thousands};
use crate::report::html::escaped;

pub fn section(report: &Report) -> Option<String> {
    report.evaluation.confusion()?;
    let class = |class: &ClassMetrics| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&class.class),
            thousands(class.rows as usize),
            percent(class.precision),
            percent(class.recall),
            percent(class.f1)
        )
    };
    Some(format!(
        "<div class=\"wide\"><table><tr><th>class</th><th>examples</th><th>precision</th><th>recall</th><th>F1</th></tr>\n{}</table></div>\n{}",
        report.figures.classes.iter().map(class).collect::<String>(),
        metric_table(report)
    ))
}
