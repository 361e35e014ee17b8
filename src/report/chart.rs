//! Scatter plots and histograms as inline SVG. Every axis has a title.

use std::fmt::Write;

use super::plot::{bounds, tick_label, ticks};
use crate::report::html::escaped;

/// Size of a chart and its margins in SVG units.
pub(super) const WIDTH: f64 = 460.;
const HEIGHT: f64 = 380.;
const LEFT: f64 = 78.;
const RIGHT: f64 = 12.;
const TOP: f64 = 12.;
const BOTTOM: f64 = 48.;

/// Maximum number of points: more hide each other.
const MAX_POINTS: usize = 3000;

/// Number of bars of a histogram.
const BARS: usize = 30;

/// The titles of a chart.
pub struct Titles<'a> {
    /// Of the chart.
    pub chart: &'a str,
    /// Of the horizontal axis.
    pub across: &'a str,
    /// Of the vertical axis.
    pub down: &'a str,
}

/// Where a chart draws values: the ranges of both axes.
pub(super) struct Axes {
    pub across: (f64, f64),
    pub down: (f64, f64),
}

impl Axes {
    pub fn x(&self, value: f64) -> f64 {
        let (low, high) = self.across;
        LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)
    }

    pub fn y(&self, value: f64) -> f64 {
        let (low, high) = self.down;
        TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)
    }

    /// The grid with its labels, and the titles of the axes.
    pub fn grid(&self, titles: &Titles) -> String {
        let mut svg = String::new();
        for tick in ticks(self.down.0, self.down.1) {
            write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" class=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.,
                self.y(tick) + 4.,
                tick_label(tick),
                y = self.y(tick),
            )
            .expect(INFALLIBLE);
        }
        for tick in ticks(self.across.0, self.across.1) {
            write!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\"/><text x=\"{x:.1}\" y=\"{}\" class=\"middle\">{}</text>",
                HEIGHT - BOTTOM,
                HEIGHT - BOTTOM + 17.,
                tick_label(tick),
                x = self.x(tick),
            )
            .expect(INFALLIBLE);
        }
        let (middle, center) = ((LEFT + WIDTH - RIGHT) / 2., (TOP + HEIGHT - BOTTOM) / 2.);
        write!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{}\" class=\"middle\">{}</text><text transform=\"translate(14 {center:.1}) rotate(-90)\" \
             class=\"middle\">{}</text>",
            HEIGHT - 8.,
            escaped(titles.across),
            escaped(titles.down)
        )
        .expect(INFALLIBLE);
        svg
    }
}

pub(super) fn figure(titles: &Titles, legend: &[(&str, &str)], content: &str) -> String {
    figure_with_height(titles, legend, content, HEIGHT)
}

pub(super) fn figure_with_height(
    titles: &Titles,
    legend: &[(&str, &str)],
    content: &str,
    height: f64,
) -> String {
    let entry = |(name, color): &(&str, &str)| {
        format!("<span><i style=\"background:var({color})\"></i>{}</span>", escaped(name))
    };
    let legend: String = legend.iter().map(entry).collect();
    let title = escaped(titles.chart);
    format!(
        "<figure class=\"plot\"><figcaption>{title}<span class=\"legend\">{legend}</span></figcaption><svg viewBox=\"0 0 {WIDTH} \
         {height}\" role=\"img\" aria-label=\"{title}\">{content}</svg></figure>"
    )
}

/// Predicted against actual values (actual, predicted), with the line of exact predictions, and with the edges of the prediction
/// interval if there is one. Both axes have the same range.
pub fn predicted_against_actual(
    titles: &Titles,
    points: &[(f64, f64)],
    interval: Option<(&str, f64)>,
) -> String {
    let every = points.len().div_ceil(MAX_POINTS).max(1);
    let shown: Vec<_> = points
        .iter()
        .step_by(every)
        .filter(|(actual, predicted)| actual.is_finite() && predicted.is_finite())
        .collect();
    let range = bounds(shown.iter().flat_map(|(actual, predicted)| [*actual, *predicted]));
    let axes = Axes { across: range, down: range };
    let mut svg = axes.grid(titles);
    // Each point is a line without length, whose round ends are visible.
    svg += "<path style=\"stroke:var(--one);stroke-width:5;opacity:.45\" d=\"";
    for (actual, predicted) in shown {
        write!(svg, "M{:.1} {:.1}h0", axes.x(*actual), axes.y(*predicted)).expect(INFALLIBLE);
    }
    svg += "\"/>";
    let (low, high) = range;
    let mut line = |offset: f64, style: &str| {
        // The part of y = x + offset within the chart.
        let (from, to) = ((low - offset).max(low), (high - offset).min(high));
        if from < to {
            let ends = [from, to].map(|x| (axes.x(x), axes.y(x + offset)));
            let [(x1, y1), (x2, y2)] = ends;
            write!(svg, "<path style=\"{style}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>")
                .expect(INFALLIBLE);
        }
    };
    line(0., "stroke:var(--two)");
    let mut legend = vec![("examples", "--one"), ("exact prediction", "--two")];
    if let Some((name, half_width)) = interval {
        line(half_width, "stroke:var(--soft);stroke-dasharray:4 4");
        line(-half_width, "stroke:var(--soft);stroke-dasharray:4 4");
        legend.push((name, "--soft"));
    }
    figure(titles, &legend, &svg)
}

/// A histogram of values. Values that are not finite are left out.
pub fn histogram(titles: &Titles, values: &[f64]) -> String {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = bounds(finite());
    let width = (high - low) / BARS as f64;
    let mut counts = [0usize; BARS];
    finite().for_each(|value| counts[(((value - low) / width) as usize).min(BARS - 1)] += 1);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    // Few examples would have ticks at fractions of one.
    let axes = Axes { across: (low, high), down: (0., (1.05 * most as f64).max(5.)) };
    let mut svg = axes.grid(titles);
    for (bar, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (from, to) = (low + bar as f64 * width, low + (bar + 1) as f64 * width);
        write!(
            svg,
            "<rect x=\"{:.1}\" width=\"{:.1}\" y=\"{:.1}\" height=\"{:.1}\" style=\"fill:var(--one)\"><title>{} to {}: \
             {count}</title></rect>",
            axes.x(from) + 0.5,
            axes.x(to) - axes.x(from) - 1.,
            axes.y(*count as f64),
            axes.y(0.) - axes.y(*count as f64),
            tick_label(from),
            tick_label(to)
        )
        .expect(INFALLIBLE);
    }
    figure(titles, &[], &svg)
}

const INFALLIBLE: &str = "writing to a string does not fail";

#[cfg(test)]
mod tests {
    use super::*;

    const TITLES: Titles = Titles { chart: "a chart", across: "actual <x>", down: "predicted" };

    #[test]
    fn a_scatter_plot_has_titles_points_and_the_edges_of_the_interval() {
        let points = [(0., 0.), (10., 10.), (f64::NAN, 3.), (5., 6.)];
        let plain = predicted_against_actual(&TITLES, &points, None);
        assert!(plain.contains("actual &lt;x&gt;</text>") && plain.contains(">predicted</text>"), "{plain}");
        assert_eq!(plain.matches("h0").count(), 3, "{plain}");
        let with = predicted_against_actual(&TITLES, &points, Some(("90 % interval", 2.)));
        assert_eq!(with.matches("<path").count(), plain.matches("<path").count() + 2, "{with}");
        assert!(with.contains("90 % interval") && !with.contains("NaN"), "{with}");
        // An interval that is wider than the chart has no edges there.
        let wide = predicted_against_actual(&TITLES, &points, Some(("90 % interval", 100.)));
        assert_eq!(wide.matches("<path").count(), plain.matches("<path").count());
        let many: Vec<_> = (0..100_000).map(|value| (f64::from(value), 0.)).collect();
        assert!(predicted_against_actual(&TITLES, &many, None).len() < 80_000);
    }

    #[test]
    fn a_histogram_counts_every_finite_value() {
        let values: Vec<f64> = (0..100).map(|value| f64::from(value % 10)).chain([f64::NAN]).collect();
        let svg = histogram(&TITLES, &values);
        let counts = svg.split("</title>").filter_map(|bar| bar.rsplit_once(": ")?.1.parse::<usize>().ok());
        assert_eq!(counts.collect::<Vec<_>>(), [10; 10], "{svg}");
        // One value, and none.
        for values in [vec![2.], vec![]] {
            assert!(!histogram(&TITLES, &values).contains("NaN"));
        }
    }
}
