//! The reliability diagram and the expected calibration error.

use std::fmt::Write;

use super::Report;
use crate::evaluate::calibration::{Bin, bins, error, temperature};

/// Side of the diagram and its margins in SVG units.
const SIDE: f64 = 300.;
const LEFT: f64 = 44.;
const EDGE: f64 = 10.;
const BOTTOM: f64 = 40.;

pub fn section(report: &Report) -> Option<String> {
    let scores = report.evaluation.class_scores()?;
    let (ece, best) = (error(scores, 1.), temperature(scores));
    Some(format!(
        "<p>Accuracy (vertical) by confidence (horizontal). On the diagonal, confidence equals accuracy; below it the model is \
         overconfident. The expected calibration error is {:.2} %; after temperature scaling with T = {best:.2} it \
         would be {:.2} %.</p>\n<div class=\"plots\"><figure class=\"plot\">{}</figure></div>\n",
        100. * ece,
        100. * error(scores, best),
        diagram(&bins(scores, 1.))
    ))
}

fn diagram(bins: &[Bin]) -> String {
    let across = |value: f64| LEFT + (SIDE - LEFT - EDGE) * value;
    let down = |value: f64| EDGE + (SIDE - EDGE - BOTTOM) * (1. - value);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {SIDE} {SIDE}\" role=\"img\" aria-label=\"Accuracy by confidence\" style=\"max-width:26rem\">"
    );
    for tick in [0., 0.25, 0.5, 0.75, 1.] {
        write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"end\" x=\"{:.1}\" \
             y=\"{:.1}\">{shown:.0} %</text><text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{shown:.0}</text>",
            across(1.),
            LEFT - 4.,
            down(tick) + 4.,
            across(tick),
            SIDE - BOTTOM + 16.,
            y = down(tick),
            shown = 100. * tick
        )
        .expect(INFALLIBLE);
    }
    let most = bins.iter().map(|bin| bin.rows).fold(1., f64::max);
    for bin in bins.iter().filter(|bin| bin.rows > 0.) {
        write!(
            svg,
            "<rect x=\"{:.1}\" width=\"{:.1}\" y=\"{:.1}\" height=\"{:.1}\" style=\"fill:var(--one);opacity:{:.2}\"><title>{:.0} to {:.0} \
             %: {} examples, accuracy {:.1} %, mean confidence {:.1} %</title></rect>",
            across(bin.low) + 0.5,
            across(bin.high) - across(bin.low) - 1.,
            down(bin.accuracy),
            (down(0.) - down(bin.accuracy)).max(1.),
            // Draw bins with few examples in a paler color: their accuracy is uncertain.
            0.3 + 0.7 * (bin.rows / most).sqrt(),
            100. * bin.low,
            100. * bin.high,
            bin.rows,
            100. * bin.accuracy,
            100. * bin.confidence
        )
        .expect(INFALLIBLE);
    }
    write!(
        svg,
        "<path style=\"stroke:var(--two)\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/><text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">confidence, \
         %</text></svg>",
        across(0.),
        down(0.),
        across(1.),
        down(1.),
        across(0.5),
        SIDE - 6.
    )
    .expect(INFALLIBLE);
    svg
}

const INFALLIBLE: &str = "writing to a string does not fail";
