//! Charts of the columns of a table as inline SVG: bars and points in a row for each name, and curves over a number. Every axis has a
//! title.

use std::fmt::Write;

use super::chart::{Axes, Titles, WIDTH, figure};
use super::plot::{bounds, tick_label, ticks};
use crate::report::html::escaped;

/// Margins of a chart of rows in SVG units, the least height of a row and of all rows, and the maximum length of a name.
const LEFT: f64 = 150.;
const RIGHT: f64 = 16.;
const TOP: f64 = 8.;
const BOTTOM: f64 = 46.;
const ROW: f64 = 22.;
const LEAST_HEIGHT: f64 = 72.;
const MAX_NAME: usize = 16;

/// Values of one class, label or number, with its color.
pub struct Series<'a> {
    /// The name in the legend; empty for none.
    pub name: &'a str,
    /// The CSS variable of the color.
    pub color: &'a str,
    /// One value for each row or place.
    pub values: Vec<f64>,
    /// A lower and an upper value for each.
    pub band: Option<(Vec<f64>, Vec<f64>)>,
}

/// A bar for each name, from 0, with a whisker of one standard deviation in both directions.
pub fn bars(titles: &Titles, names: &[&str], values: &[f64], deviations: Option<&[f64]>) -> String {
    let deviation = |row: usize| deviations.map_or(0., |deviations| deviations[row]);
    let ends = (0..values.len()).flat_map(|row| [values[row] - deviation(row), values[row] + deviation(row)]);
    let rows = Rows::new(names, bounds(ends.chain([0.])));
    let mut svg = rows.grid(titles);
    for (row, value) in values.iter().enumerate() {
        let (from, to) = (rows.x(value.min(0.)), rows.x(value.max(0.)));
        write!(
            svg,
            "<rect x=\"{from:.1}\" width=\"{:.1}\" y=\"{:.1}\" height=\"{}\" style=\"fill:var(--one)\"><title>{}: {}</title></rect>",
            (to - from).max(0.5),
            rows.y(row) - 7.,
            14,
            escaped(names[row]),
            tick_label(*value)
        )
        .expect(INFALLIBLE);
        if deviation(row) > 0. {
            let ends = [value - deviation(row), value + deviation(row)].map(|end| rows.x(end));
            write!(
                svg,
                "<path style=\"stroke:var(--text)\" d=\"M{:.1} {y:.1}H{:.1}\"/>",
                ends[0],
                ends[1],
                y = rows.y(row)
            )
            .expect(INFALLIBLE);
        }
    }
    figure_of(titles, &[], &svg, rows.height())
}

/// A point for each name and series, and a line from the lower to the upper value.
pub fn points(titles: &Titles, names: &[&str], series: &[Series]) -> String {
    let rows = Rows::new(names, range(series));
    let mut svg = rows.grid(titles);
    for Series { color, values, band, name } in series {
        for (row, value) in values.iter().enumerate() {
            let y = rows.y(row);
            if let Some((low, high)) = band {
                let ends = [rows.x(low[row]), rows.x(high[row])];
                write!(
                    svg,
                    "<path style=\"stroke:var({color});opacity:.4\" d=\"M{:.1} {y:.1}H{:.1}\"/>",
                    ends[0], ends[1]
                )
                .expect(INFALLIBLE);
            }
            write!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\" style=\"fill:var({color})\"><title>{} {}: {}</title></circle>",
                rows.x(*value),
                escaped(names[row]),
                escaped(name),
                tick_label(*value)
            )
            .expect(INFALLIBLE);
        }
    }
    figure_of(titles, series, &svg, rows.height())
}

/// A curve over `places` for each series, and an area from the lower to the upper value.
pub fn curves(titles: &Titles, places: &[f64], series: &[Series]) -> String {
    let axes = Axes { across: bounds(places.iter().copied()), down: range(series) };
    let mut svg = axes.grid(titles);
    let path = |values: &mut dyn Iterator<Item = (f64, f64)>| {
        let points = values.map(|(place, value)| format!("{:.1} {:.1}", axes.x(place), axes.y(value)));
        points.collect::<Vec<_>>().join("L")
    };
    let over = |values: &[f64]| places.iter().copied().zip(values.iter().copied()).collect::<Vec<_>>();
    for Series { color, values, band, .. } in series {
        if let Some((low, high)) = band {
            let area = path(&mut over(low).into_iter().chain(over(high).into_iter().rev()));
            write!(svg, "<path style=\"fill:var({color});stroke:none;opacity:.2\" d=\"M{area}Z\"/>")
                .expect(INFALLIBLE);
        }
        let line = path(&mut over(values).into_iter());
        write!(svg, "<path style=\"stroke:var({color})\" d=\"M{line}\"/>").expect(INFALLIBLE);
    }
    figure(titles, &legend(series), &svg)
}

/// The range of all values.
fn range(series: &[Series]) -> (f64, f64) {
    let of_band = |series: &Series| match &series.band {
        Some((low, high)) => [low.clone(), high.clone()].concat(),
        None => Vec::new(),
    };
    let all = series.iter().flat_map(|series| [series.values.clone(), of_band(series)].concat());
    bounds(all.filter(|value| value.is_finite()))
}

fn legend<'a>(series: &[Series<'a>]) -> Vec<(&'a str, &'a str)> {
    series.iter().filter(|series| !series.name.is_empty()).map(|series| (series.name, series.color)).collect()
}

fn figure_of(titles: &Titles, series: &[Series], svg: &str, height: f64) -> String {
    super::chart::figure_with_height(titles, &legend(series), svg, height)
}

/// A chart with a row for each name, and an axis below.
struct Rows<'a> {
    names: &'a [&'a str],
    across: (f64, f64),
}

impl<'a> Rows<'a> {
    fn new(names: &'a [&'a str], across: (f64, f64)) -> Self {
        Rows { names, across }
    }

    fn height(&self) -> f64 {
        TOP + self.row() * self.names.len() as f64 + BOTTOM
    }

    /// The height of a row. Of few rows it is larger, for the title of the axis.
    fn row(&self) -> f64 {
        ROW.max(LEAST_HEIGHT / self.names.len().max(1) as f64)
    }

    fn x(&self, value: f64) -> f64 {
        let (low, high) = self.across;
        LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)
    }

    fn y(&self, row: usize) -> f64 {
        TOP + self.row() * (row as f64 + 0.5)
    }

    fn grid(&self, titles: &Titles) -> String {
        let (mut svg, bottom) = (String::new(), self.height() - BOTTOM);
        let ticks = ticks(self.across.0, self.across.1);
        // Long numbers would touch each other.
        let every = if ticks.iter().any(|tick| tick_label(*tick).len() > 5) { 2 } else { 1 };
        for tick in ticks.into_iter().step_by(every) {
            write!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/><text x=\"{x:.1}\" y=\"{}\" \
                 class=\"middle\">{}</text>",
                bottom + 17.,
                tick_label(tick),
                x = self.x(tick),
            )
            .expect(INFALLIBLE);
        }
        for (row, name) in self.names.iter().enumerate() {
            let short = match name.chars().count() > MAX_NAME {
                true => name.chars().take(MAX_NAME - 1).chain(['…']).collect(),
                false => name.to_string(),
            };
            write!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" class=\"end\">{}<title>{}</title></text>",
                LEFT - 8.,
                self.y(row) + 4.,
                escaped(&short),
                escaped(name)
            )
            .expect(INFALLIBLE);
        }
        write!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" class=\"middle\">{}</text><text transform=\"translate(14 {:.1}) rotate(-90)\" \
             class=\"middle\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.,
            self.height() - 8.,
            escaped(titles.across),
            (TOP + bottom) / 2.,
            escaped(titles.down)
        )
        .expect(INFALLIBLE);
        svg
    }
}

const INFALLIBLE: &str = "writing to a string does not fail";

#[cfg(test)]
mod tests {
    use super::*;

    const TITLES: Titles = Titles { chart: "a chart", across: "drop <of> score", down: "column" };

    #[test]
    fn each_name_has_a_bar_and_its_deviation() {
        let svg = bars(&TITLES, &["a<b", "a column with a long name"], &[0.5, -0.1], Some(&[0.1, 0.]));
        assert_eq!((svg.matches("<rect").count(), svg.matches("<path").count()), (2, 1), "{svg}");
        assert!(svg.contains("a column with a…<title>") && svg.contains("a&lt;b: 0.5</title>"), "{svg}");
        assert!(svg.contains("drop &lt;of&gt; score</text>") && svg.contains(">column</text>"), "{svg}");
    }

    #[test]
    fn curves_and_points_have_bands_and_a_legend() {
        let series = [
            Series {
                name: "yes",
                color: "--one",
                values: vec![0.2, 0.8],
                band: Some((vec![0.1, 0.7], vec![0.3, 0.9])),
            },
            Series { name: "no", color: "--two", values: vec![0.8, 0.2], band: None },
        ];
        let curves = curves(&TITLES, &[1., 5.], &series);
        assert_eq!(
            (curves.matches("stroke:none").count(), curves.matches("<path").count()),
            (1, 3),
            "{curves}"
        );
        let points = points(&TITLES, &["red", "blue"], &series);
        assert_eq!((points.matches("<circle").count(), points.matches("<path").count()), (4, 2), "{points}");
        assert!(points.contains("</i>yes</span>") && !points.contains("NaN"), "{points}");
    }
}
