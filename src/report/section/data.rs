//! The dataset and the findings of its audit.

use std::path::Path;

use super::Report;
use crate::data::audit::{Audit, Finding, Quantity};
use crate::data::terminal::argument;
use crate::data::{LabelPair, TaskKind};
use crate::evaluate::numbers::thousands;
use crate::options::portable;
use crate::report::html::escaped;

/// Maximum number of classes, labels or pairs listed with their number of examples.
const MAX_LISTED: usize = 50;

pub fn section(report: &Report) -> Option<String> {
    let name = portable("data", &report.config.data);
    let (data, argument) = (escaped(&name), escaped(&argument(Path::new(&name))));
    let inputs = match &report.recommended {
        Some(_) => "choices of items by users".to_string(),
        None => format!("inputs of {}", report.metadata.input.shape),
    };
    let shape = format!("<p>{data}: {inputs}; SHA-256 <code>{}</code></p>\n", report.metadata.data_sha256);
    let Some(audit) = &report.audit else {
        return Some(format!(
            "{shape}<p>The dataset is too large to audit here; run <code>cresset data audit {argument}</code>.</p>\n"
        ));
    };
    let finding = |finding: &Finding| {
        let word = finding.severity.word();
        let class = if word.eq_ignore_ascii_case("fault") { "fault" } else { "soft" };
        format!(
            "<li><b class=\"{class}\">{word}</b> {}<br><span class=\"soft\">{}</span></li>\n",
            escaped(&finding.summary),
            escaped(finding.advice)
        )
    };
    let findings = match audit.findings.len() {
        0 => "<p>The audit found no problems.</p>\n".to_string(),
        _ => format!(
            "<ul>\n{}</ul>\n<p class=\"soft\"><code>cresset data audit {argument}</code> lists the examples.</p>\n",
            audit.findings.iter().map(finding).collect::<String>()
        ),
    };
    let counts = if audit.classes.is_empty() { quantity(audit) } else { counts(audit) };
    Some(format!("{shape}{findings}{counts}"))
}

/// The number of examples of each class or label, and of the pairs of labels.
fn counts(audit: &Audit) -> String {
    let is_multilabel = audit.task == TaskKind::Multilabel;
    let (noun, plural) = if is_multilabel { ("label", "labels") } else { ("class", "classes") };
    let class = |(class, count): &(String, usize)| {
        format!("<tr><td>{}</td><td>{}</td></tr>", escaped(class), thousands(*count))
    };
    let hidden = audit.classes.len().saturating_sub(MAX_LISTED);
    let more = if hidden > 0 {
        format!("<p class=\"soft\">… and {hidden} more {plural}</p>")
    } else {
        String::new()
    };
    format!(
        "<details><summary>{} examples by {noun}</summary><div class=\"wide\"><table><tr><th>{noun}</th><th>examples</th></tr>{}\
         </table></div>{more}</details>\n{}",
        thousands(audit.rows),
        audit.classes.iter().take(MAX_LISTED).map(class).collect::<String>(),
        if is_multilabel { together(audit) } else { String::new() }
    )
}

/// How many labels examples have, and which occur together.
fn together(audit: &Audit) -> String {
    let size =
        |(size, count): (usize, &usize)| format!("<tr><td>{size}</td><td>{}</td></tr>", thousands(*count));
    let sizes: String = audit.label_set_sizes.iter().enumerate().map(size).collect();
    let pair = |LabelPair { a, b, rows }: &LabelPair| {
        let names = format!("<td>{}</td><td>{}</td>", escaped(a), escaped(b));
        format!("<tr>{names}<td>{}</td></tr>", thousands(*rows))
    };
    let pairs: String = audit.label_pairs.iter().take(MAX_LISTED).map(pair).collect();
    let pairs = match audit.label_pairs.len() {
        0 => "<p>No two labels occur together.</p>\n".to_string(),
        all => {
            let hidden = all.saturating_sub(MAX_LISTED);
            let more = if hidden > 0 {
                format!("<p class=\"soft\">… and {hidden} more pairs</p>")
            } else {
                String::new()
            };
            format!(
                "<details><summary>Labels that occur together</summary><div class=\"wide\"><table><tr><th>label</th><th>label</th>\
                 <th>examples with both</th></tr>{pairs}</table></div>{more}</details>\n"
            )
        }
    };
    format!(
        "<details><summary>Labels per example</summary><div class=\"wide\"><table><tr><th>labels</th><th>examples</th></tr>{sizes}\
         </table></div></details>\n{pairs}"
    )
}

/// The distribution of the quantity.
fn quantity(audit: &Audit) -> String {
    let Some(Quantity { name, values }) = &audit.quantity else { return String::new() };
    let figures = [
        ("minimum", values.min),
        ("mean", values.mean),
        ("maximum", values.max),
        ("standard deviation", values.deviation),
    ];
    let row =
        |(title, value): &(&str, f64)| format!("<tr><td>{title}</td><td>{}</td></tr>", super::number(*value));
    format!(
        "<details open><summary>{} in {} examples</summary><div class=\"wide\"><table>{}</table></div></details>\n",
        escaped(name),
        thousands(values.rows),
        figures.iter().map(row).collect::<String>()
    )
}
