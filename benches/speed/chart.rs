//! The ratios as bars with their goals, on a logarithmic scale.

use std::fmt::Write;

use crate::table::Verdict;

const LABELS: f64 = 430.;
const WIDTH: f64 = 560.;
const HEIGHT: f64 = 24.;
const TOP: f64 = 54.;

/// The ends of the scale.
const LEAST: f64 = 0.01;
const MOST: f64 = 10.;

/// The chart, readable on light and dark backgrounds.
pub fn svg(verdicts: &[Verdict]) -> String {
    let height = TOP + HEIGHT * verdicts.len() as f64 + 16.;
    let width = LABELS + WIDTH + 60.;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<style>text {{ fill: #222 }} .axis {{ stroke: #999 }} .good {{ fill: #2a7f62 }} .bad {{ fill: #b4532a }} \
         .goal {{ stroke: #222; stroke-width: 2 }} @media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} .goal {{ stroke: #eee }} \
         .good {{ fill: #4fb592 }} .bad {{ fill: #e08a5f }} }}</style>\n\
         <text x=\"0\" y=\"16\">cresset / the best peer (bar), and the goal (line); × marks rows where higher is better</text>\n"
    );
    for tick in [0.01, 0.1, 1., 10.] {
        let x = place(tick);
        writeln!(
            text,
            "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{height}\"/><text x=\"{x:.1}\" y=\"{}\" \
             text-anchor=\"middle\">{tick}</text>",
            TOP - 8.,
            TOP - 14.
        )
        .expect("writing to a string cannot fail");
    }
    verdicts.iter().enumerate().for_each(|(index, verdict)| {
        bar(&mut text, verdict, TOP + HEIGHT * index as f64);
    });
    text + "</svg>\n"
}

fn bar(text: &mut String, verdict: &Verdict, y: f64) {
    let (row, ratio) = (verdict.row(), verdict.ratio());
    let (from, to) = (place(1.).min(place(ratio)), place(1.).max(place(ratio)));
    let (class, mark) =
        (if verdict.is_met() { "good" } else { "bad" }, if row.more_is_better { "× " } else { "" });
    writeln!(
        text,
        "<text x=\"0\" y=\"{:.1}\">{mark}{}</text><rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
         height=\"14\"/><line class=\"goal\" x1=\"{goal:.1}\" x2=\"{goal:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\"/><text x=\"{:.1}\" \
         y=\"{:.1}\">{ratio:.2}</text>",
        y + 14.,
        row.name,
        y + 3.,
        (to - from).max(1.),
        y + 20.,
        LABELS + WIDTH + 12.,
        y + 14.,
        goal = place(row.goal),
    )
    .expect("writing to a string cannot fail");
}

fn place(ratio: f64) -> f64 {
    LABELS + WIDTH * (ratio.clamp(LEAST, MOST) / LEAST).log10() / (MOST / LEAST).log10()
}
