//! Metrics of each label and of the whole model; none for other tasks.

use super::{Report, metric_table};
use crate::evaluate::numbers::{percent, thousands};
use crate::evaluate::{ClassMetrics, ClassificationReport};
use crate::report::html::escaped;

pub fn section(report: &Report) -> Option<String> {
    report.evaluation.labels()?;
    let (test, caution) = match &report.test {
        Some(test) => {
            (format!("<h3>Test set</h3>\n{}", table(test)), "Metrics on the test set are not affected.")
        }
        None => (
            String::new(),
            "There is no test set, whose metrics would not be affected (<code>--test-list</code>, or a test split of the data).",
        ),
    };
    let heading = if report.test.is_some() { "<h3>Validation set</h3>\n" } else { "" };
    Some(format!(
        "<p>A label is predicted if its probability is at least its threshold. The thresholds were tuned for the highest F1 on the \
         validation set, so precision, recall and F1 on the validation set are optimistic. {caution} Average precision does not \
         depend on the threshold.</p>\n{heading}{}{test}{}",
        table(&report.figures),
        metric_table(report)
    ))
}

fn table(figures: &ClassificationReport) -> String {
    let row = |label: &ClassMetrics| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&label.class),
            thousands(label.rows as usize),
            percent(label.precision),
            percent(label.recall),
            percent(label.f1),
            percent(label.average_precision),
            label.threshold.map_or("–".to_string(), |threshold| format!("{threshold:.3}"))
        )
    };
    format!(
        "<div class=\"wide\"><table><tr><th>label</th><th>examples</th><th>precision</th><th>recall</th><th>F1</th>\
         <th>average precision</th><th>threshold</th></tr>\n{}</table></div>\n",
        figures.classes.iter().map(row).collect::<String>()
    )
}
