//! Line plots as inline SVG.

use std::fmt::Write;

use crate::report::html::escaped;

/// A curve: its name, the CSS variable of its color, and one value per epoch. NaN and infinite values are gaps.
pub struct Curve<'a> {
    pub name: &'a str,
    pub color: &'a str,
    pub values: Vec<f64>,
}

/// Size of a plot and its margins in SVG units.
const WIDTH: f64 = 560.;
const HEIGHT: f64 = 260.;
const LEFT: f64 = 52.;
const RIGHT: f64 = 10.;
const TOP: f64 = 10.;
const BOTTOM: f64 = 28.;

/// Maximum number of points: a screen cannot show more.
const MAX_POINTS: usize = 500;

/// Curves over epochs. The script of the page reads the values for the pointer from `data-` attributes.
pub fn curves(title: &str, unit: &str, epochs: &[u32], curves: &[Curve]) -> String {
    let every = epochs.len().div_ceil(MAX_POINTS).max(1);
    // Sample from the end, to keep the last epoch.
    let kept: Vec<usize> =
        (0..epochs.len()).rev().step_by(every).collect::<Vec<_>>().into_iter().rev().collect();
    let finite = curves.iter().flat_map(|curve| kept.iter().map(|at| curve.values[*at]));
    let (low, high) = bounds(finite.filter(|value| value.is_finite()));
    let (first, last) = (f64::from(epochs[0]), f64::from(epochs[epochs.len() - 1]));
    let across =
        |epoch: u32| LEFT + (WIDTH - LEFT - RIGHT) * (f64::from(epoch) - first) / (last - first).max(1.);
    let down = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low);

    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escaped(title));
    for tick in ticks(low, high) {
        let y = down(tick);
        write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" class=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.,
            y + 4.,
            tick_label(tick)
        )
        .expect(INFALLIBLE);
    }
    for (epoch, place) in [(epochs[0], "start"), (epochs[epochs.len() - 1], "end")] {
        write!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" class=\"{place}\">{epoch}</text>",
            across(epoch),
            HEIGHT - 8.
        )
        .expect(INFALLIBLE);
    }
    write!(
        svg,
        "<text x=\"{:.1}\" y=\"{}\" class=\"middle\">epoch</text>",
        (LEFT + WIDTH - RIGHT) / 2.,
        HEIGHT - 8.
    )
    .expect(INFALLIBLE);
    for curve in curves {
        write!(svg, "<path style=\"stroke:var({})\" d=\"", curve.color).expect(INFALLIBLE);
        let mut is_down = false;
        for at in &kept {
            let value = curve.values[*at];
            if !value.is_finite() {
                is_down = false;
                continue;
            }
            let letter = if is_down { 'L' } else { 'M' };
            write!(svg, "{letter}{:.1} {:.1}", across(epochs[*at]), down(value)).expect(INFALLIBLE);
            // Draw a single point as a short line, so that it is visible.
            if !is_down {
                svg.push_str("h0");
            }
            is_down = true;
        }
        svg.push_str("\"/>");
    }
    svg.push_str("<line class=\"cursor\" hidden/></svg>");
    let legend: String = curves
        .iter()
        .map(|curve| {
            format!("<span><i style=\"background:var({})\"></i>{}</span>", curve.color, escaped(curve.name))
        })
        .collect();
    let points: Vec<_> = kept
        .iter()
        .map(|at| {
            let values: Vec<_> = curves.iter().map(|curve| format!("{:.6}", curve.values[*at])).collect();
            format!("{},{:.1},{}", epochs[*at], across(epochs[*at]), values.join(","))
        })
        .collect();
    format!(
        "<figure class=\"plot\" data-unit=\"{unit}\" data-points=\"{}\"><figcaption>{}<span class=\"legend\">{legend}</span></figcaption>{svg}\
         <output></output></figure>",
        points.join(";"),
        escaped(title)
    )
}

/// Minimum and maximum, widened if they are equal.
pub(super) fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0., 1.);
    }
    let margin = if high > low { 0.03 * (high - low) } else { 0.5 * high.abs().max(1e-6) };
    (low - margin, high + margin)
}

/// Round numbers between two bounds: multiples of 1, 2 or 5 times a power of ten.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1., 2., 5., 10.].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
    let step = step.unwrap_or(10. * power);
    // Include a round bound despite rounding errors.
    let slack = 1e-9 * step;
    let first = ((low - slack) / step).ceil() as i64;
    (first..).map(|count| count as f64 * step).take_while(|tick| *tick <= high + slack).collect()
}

/// Formats a number for an axis.
pub(super) fn tick_label(value: f64) -> String {
    if value != 0. && value.abs() < 1e-3 {
        return format!("{value:.0e}");
    }
    if value.abs() >= 1e6 {
        return format!("{value:e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

const INFALLIBLE: &str = "writing to a string does not fail";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_bounds() {
        let shown = |low, high| ticks(low, high).into_iter().map(tick_label).collect::<Vec<_>>();
        assert_eq!(shown(0.03, 1.02), ["0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(shown(91.5, 99.9), ["92", "94", "96", "98"]);
        assert_eq!(shown(0., 3e-4), ["0", "1e-4", "2e-4", "3e-4"]);
        assert_eq!(shown(0., 3e6), ["0", "1e6", "2e6", "3e6"]);
        assert_eq!(shown(-1.03, 1.03), ["-1", "-0.5", "0", "0.5", "1"]);
    }

    #[test]
    fn gaps_and_single_values_are_drawn() {
        let curve = |values: &[f64]| Curve { name: "a<b", color: "--one", values: values.to_vec() };
        let svg = curves("loss", "", &[1, 2, 3], &[curve(&[1., f64::NAN, 2.])]);
        assert_eq!(svg.matches('M').count(), 2, "{svg}");
        assert!(svg.contains("a&lt;b") && svg.contains("2,301.0,NaN"), "{svg}");
        assert!(!curves("loss", "", &[7], &[curve(&[0.5])]).contains("NaN"));
        assert!(!curves("loss", "", &[1], &[curve(&[f64::NAN])]).contains("d=\"M"));
    }

    #[test]
    fn long_runs_stay_small_and_keep_their_end() {
        let epochs: Vec<u32> = (1..=10_000).collect();
        let values = epochs.iter().map(|epoch| 1. / f64::from(*epoch)).collect();
        let svg = curves("loss", "", &epochs, &[Curve { name: "a", color: "--one", values }]);
        assert!(svg.len() < 40_000 && svg.contains(";10000,"), "{}", svg.len());
    }
}
