//! The dataset and the findings of its audit.

use std::path::Path;

use super::Report;
use crate::data::audit::Finding;
use crate::data::terminal::argument;
use crate::evaluate::numbers::thousands;
use crate::options::portable;
use crate::report::html::escaped;

/// Maximum number of classes listed with their number of examples.
const MAX_LISTED: usize = 50;

pub fn section(report: &Report) -> Option<String> {
    let name = portable("data", &report.config.data);
    let (data, argument) = (escaped(&name), escaped(&argument(Path::new(&name))));
    let shape = format!(
        "<p>{data}: inputs of {}; SHA-256 <code>{}</code></p>\n",
        report.metadata.input.shape, report.metadata.data_sha256
    );
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
    let class = |(class, count): &(String, usize)| {
        format!("<tr><td>{}</td><td>{}</td></tr>", escaped(class), thousands(*count))
    };
    let hidden = audit.classes.len().saturating_sub(MAX_LISTED);
    let more = if hidden > 0 {
        format!("<p class=\"soft\">… and {hidden} more classes</p>")
    } else {
        String::new()
    };
    Some(format!(
        "{shape}{findings}<details><summary>{} examples by class</summary><div class=\"wide\"><table><tr><th>class</th><th>examples</th></tr>{}\
         </table></div>{more}</details>\n",
        thousands(audit.rows),
        audit.classes.iter().take(MAX_LISTED).map(class).collect::<String>()
    ))
}
