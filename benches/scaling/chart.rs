//! Curves on logarithmic axes.

use std::fmt::Write;

/// A curve of time over a quantity.
pub struct Curve {
    /// The name of the quantity.
    pub name: &'static str,
    /// The unit of the time.
    pub unit: &'static str,
    /// Pairs of value and time.
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    /// How often the time doubles from this point to the next for each doubling of the value.
    pub fn slope(&self, place: usize) -> f64 {
        let ((value, time), (next_value, next_time)) = (self.points[place], self.points[place + 1]);
        (next_time / time).ln() / (next_value / value).ln()
    }
}

/// One line per point.
pub fn csv(curves: &[Curve]) -> String {
    let mut text = String::from("grows,value,time,unit\n");
    for curve in curves {
        for (value, time) in &curve.points {
            writeln!(text, "{},{value},{time},{}", curve.name, curve.unit)
                .expect("writing to a string cannot fail");
        }
    }
    text
}

const SIDE: f64 = 460.;
const LEFT: f64 = 60.;
const TOP: f64 = 40.;

/// Both axes range from 1 to this multiple of the first value and time.
const MOST: f64 = 2048.;

const COLORS: [&str; 4] = ["#2a7f62", "#b4532a", "#4a6fb5", "#8d5fa8"];

/// The curves as multiples of their first points, readable on light and dark backgrounds.
pub fn svg(curves: &[Curve]) -> String {
    let (width, height) = (LEFT + SIDE + 170., TOP + SIDE + 50.);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <style>text {{ fill: #222 }} .axis {{ stroke: #999; stroke-width: 0.5 }} @media (prefers-color-scheme: dark) {{ text {{ fill: \
         #ddd }} }}</style>\n<text x=\"{LEFT}\" y=\"20\">time and size, relative to the smallest</text>\n"
    );
    for power in 0..=3 {
        let tick = 10f64.powi(power);
        let (x, y) = (across(tick), down(tick));
        let (right, bottom) = (LEFT + SIDE, TOP + SIDE);
        writeln!(
            text,
            "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/><line class=\"axis\" x1=\"{LEFT}\" \
             x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text><text \
             x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
            bottom + 20.,
            LEFT - 8.,
            y + 4.
        )
        .expect("writing to a string cannot fail");
    }
    for (place, (curve, color)) in curves.iter().zip(COLORS).enumerate() {
        let (first_value, first_time) = curve.points[0];
        let at = |(value, time): &(f64, f64)| (across(value / first_value), down(time / first_time));
        let line: Vec<_> = curve.points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            line.join(" ")
        )
        .expect("writing to a string cannot fail");
        let (x, y) = (LEFT + SIDE + 14., TOP + 20. + 22. * place as f64);
        writeln!(
            text,
            "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{color}\"/><text x=\"{}\" y=\"{y}\">{} ({})</text>",
            y - 11.,
            x + 18.,
            curve.name,
            curve.unit
        )
        .expect("writing to a string cannot fail");
    }
    text + "</svg>\n"
}

fn across(value: f64) -> f64 {
    LEFT + SIDE * share(value)
}

fn down(value: f64) -> f64 {
    TOP + SIDE * (1. - share(value))
}

fn share(value: f64) -> f64 {
    (value.clamp(1., MOST)).ln() / MOST.ln()
}
