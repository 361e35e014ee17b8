//! The data audit as a self-contained HTML page with thumbnails.

use std::fmt::Write;

use crate::data::audit::{Audit, Finding, LeakingPhrase, TextLengths};
use crate::data::thumbnail::thumbnail;
use crate::data::{Dataset, LabelPair, TaskKind};
use crate::options::portable;
use crate::report::html::{escaped, png_url, policy};

/// Maximum number of examples shown per finding.
const SHOWN: usize = 60;

/// Side of a thumbnail in pixels.
const SIDE: u32 = 96;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
h1,h2{line-height:1.2}h2{margin-top:2.5rem}.fault{color:#b00020}.warning{color:#8a5a00}.note{color:#555}\
ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:1rem}li{width:9rem;font-size:.8rem;overflow-wrap:anywhere}\
img{width:96px;height:96px;display:block;background:#eee}table{border-collapse:collapse}td,th{padding:.1rem .8rem .1rem 0;text-align:left}\
td.n{text-align:right;font-variant-numeric:tabular-nums}.bar{background:#4a7bb5;height:.8rem}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}.fault{color:#ff8a8a}.warning{color:#e8b45a}.note{color:#aaa}img{background:#333}}";

/// Renders the page.
///
/// ```
/// use cresset::data::DataOptions;
/// use cresset::data::audit::audit;
/// use cresset::report::audit::to_page;
///
/// let (audit, dataset) = audit("iris", &DataOptions::default(), 1)?;
/// let page = to_page(&audit, &dataset);
/// assert!(page.contains("setosa"));
/// # Ok::<(), cresset::error::Error>(())
/// ```
pub fn to_page(audit: &Audit, dataset: &Dataset) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\"><title>Audit of {name}</title><style>{STYLE}</style></head><body>\n<h1>Audit of {name}</h1>\n\
         <p>{rows} examples, {targets}; {findings} findings</p>\n",
        policy = policy(STYLE, None),
        name = escaped(&portable("data", &audit.data)),
        rows = audit.rows,
        targets = escaped(&audit.targets()),
        findings = audit.findings.len()
    );
    if !audit.classes.is_empty() {
        page += &counts(audit);
    }
    if let Some(texts) = &audit.texts {
        page += &lengths(texts);
    }
    if audit.findings.is_empty() {
        page += "<p>No findings.</p>\n";
    }
    audit.findings.iter().for_each(|finding| show(finding, dataset, &mut page));
    page + "</body></html>\n"
}

/// The number of examples of each class or label, and of the pairs of labels.
fn counts(audit: &Audit) -> String {
    let noun = if audit.task == TaskKind::Multilabel { "label" } else { "class" };
    let mut page = format!("<table><tr><th>{noun}</th><th>examples</th><th></th></tr>\n");
    let most = audit.classes.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    for (class, count) in &audit.classes {
        let width = 20. * *count as f64 / most as f64;
        writeln!(
            page,
            "<tr><td>{}</td><td class=\"n\">{count}</td><td><div class=\"bar\" style=\"width:{width:.2}rem\"></div></td></tr>",
            escaped(class)
        )
        .expect("text can be written");
    }
    page += "</table>\n";
    let pair = |LabelPair { a, b, rows }: &LabelPair| {
        format!("<tr><td>{} and {}</td><td class=\"n\">{rows}</td></tr>\n", escaped(a), escaped(b))
    };
    if !audit.label_pairs.is_empty() {
        let pairs: String = audit.label_pairs.iter().take(SHOWN).map(pair).collect();
        page += &format!("<table><tr><th>labels together</th><th>examples</th></tr>\n{pairs}</table>\n");
    }
    page
}

/// The lengths of texts, and the phrases that alone predict a class.
fn lengths(texts: &TextLengths) -> String {
    let lines: String = texts.lines().iter().map(|line| format!("{}<br>\n", escaped(line))).collect();
    let row = |found: &LeakingPhrase| {
        format!(
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1} %</td><td class=\"n\">{:.1} %</td></tr>\n",
            escaped(&found.phrase),
            escaped(&found.class),
            found.support,
            100. * found.precision,
            100. * found.recall
        )
    };
    let rows: String = texts.leaking_phrases.iter().map(row).collect();
    let phrases = match rows.is_empty() {
        true => rows,
        false => format!(
            "<table><tr><th>phrase</th><th>predicts</th><th>texts</th><th>precision</th><th>recall</th></tr>\n{rows}</table>\n"
        ),
    };
    format!("<p>{lines}</p>\n{phrases}")
}

fn show(finding: &Finding, dataset: &Dataset, page: &mut String) {
    let word = finding.severity.word();
    write!(
        page,
        "<h2><span class=\"{}\">{word}</span> {}</h2>\n<p>{}<br>→ {}</p>\n<ul>\n",
        word.to_lowercase(),
        finding.check,
        escaped(&finding.summary),
        escaped(finding.advice)
    )
    .expect("text can be written");
    for mention in finding.examples.iter().take(SHOWN) {
        let image = thumbnail(dataset, mention.index, SIDE)
            .map_or(String::new(), |image| format!("<img src=\"{}\" alt=\"\">", png_url(&image)));
        let (name, label) = (escaped(&mention.name), escaped(&mention.label));
        writeln!(page, "<li>{image}<b>{name}</b><br>{label}<br>{}</li>", escaped(&mention.remark))
            .expect("text can be written");
    }
    page.push_str("</ul>\n");
    if finding.examples.len() > SHOWN {
        writeln!(page, "<p>… and {} more</p>", finding.examples.len() - SHOWN).expect("text can be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataOptions;
    use crate::data::audit::audit;
    use image::{GrayImage, Luma};

    /// The page of a folder with twelve images per class. With `has_blanks`, the first image of each class is blank.
    fn page(has_blanks: bool) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (class, number) in
            ["a", "b"].into_iter().flat_map(|class| (0..12u32).map(move |number| (class, number)))
        {
            let place = folder.path().join(class);
            std::fs::create_dir_all(&place).unwrap();
            let value = |x: u32, y: u32| match has_blanks && number == 0 {
                true => 0,
                false => ((x * x + 7 * y) * (13 + 29 * number + 400 * u32::from(class == "b")) % 251) as u8,
            };
            let image = GrayImage::from_fn(32, 32, |x, y| Luma([value(x, y)]));
            image.save(place.join(format!("{number}.png"))).unwrap();
        }
        let (audit, dataset) = audit(folder.path().to_str().unwrap(), &DataOptions::default(), 1).unwrap();
        to_page(&audit, &dataset)
    }

    #[test]
    fn a_page_shows_the_images_of_its_findings_and_needs_nothing_else() {
        assert!(page(false).contains("No findings"));
        let page = page(true);
        let is_alone = ["http:", "https:"].iter().all(|scheme| !page.contains(scheme));
        assert!(page.contains("data:image/png;base64,") && is_alone, "{page}");
    }
}
