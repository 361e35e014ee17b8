//! Outliers.

use super::{AuditedData, Finding, FlaggedExample, Severity};

/// Values further from the median than this many standard deviations are outliers. The deviation is estimated
/// from the median absolute deviation, which outliers do not affect.
const MAX_DEVIATIONS: f64 = 20.;

/// An image with less than this fraction of the usual foreground is nearly empty.
const MIN_FOREGROUND: f64 = 0.05;

/// Factors of the usual area and aspect ratio beyond which an image is unusual.
const MAX_AREA_RATIO: f64 = 16.;
const MAX_ASPECT_RATIO: f64 = 3.;

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn finding(
    check: &'static str,
    description: &str,
    advice: &'static str,
    severity: Severity,
    examples: Vec<FlaggedExample>,
) -> Vec<Finding> {
    if examples.is_empty() {
        return Vec::new();
    }
    vec![Finding { check, severity, summary: format!("{} {description}", examples.len()), advice, examples }]
}

/// Table rows with an outlier in a numeric column.
pub fn values(audited: &AuditedData) -> Vec<Finding> {
    let mut examples = Vec::new();
    for (name, values) in audited.columns {
        let as_f64 = || values.iter().map(|value| f64::from(*value));
        let middle = median(&mut as_f64().filter(|value| !value.is_nan()).collect::<Vec<_>>());
        let distance = |value: f64| (value - middle).abs();
        let spread = median(&mut as_f64().filter(|value| !value.is_nan()).map(distance).collect::<Vec<_>>());
        // The factor gives the standard deviation for normally distributed values. If most values of a column
        // are equal, the spread is 0 and the column is skipped.
        let deviation = 1.4826 * spread;
        if deviation == 0. {
            continue;
        }
        for (row, value) in
            as_f64().enumerate().filter(|(_, value)| distance(*value) > MAX_DEVIATIONS * deviation)
        {
            let remark = format!("{name} is {value}, the median {middle}");
            examples.push(audited.flag(row, remark, false));
        }
    }
    finding(
        "outliers",
        "outlier value(s)",
        "check for typing errors and wrong units",
        Severity::Note,
        examples,
    )
}

/// Blank images.
pub(crate) fn blank_images(audited: &AuditedData) -> Vec<Finding> {
    let blank = audited.readable().filter(|(_, stats)| stats.is_blank());
    let remark = |stats: &super::ImageStatistics| {
        let shade = format!("a single gray value, {:.0} of 255", stats.mean);
        stats.remark.as_ref().map_or(shade.clone(), |remark| format!("{shade}; {remark}"))
    };
    let examples = blank.map(|(index, stats)| audited.flag(index, remark(stats), true)).collect();
    finding("blank", "blank image(s)", "exclude them", Severity::Warning, examples)
}

/// Images with much less foreground than the others.
pub(crate) fn nearly_empty(audited: &AuditedData) -> Vec<Finding> {
    let usual = median(&mut audited.readable().map(|(_, stats)| stats.ink).collect::<Vec<_>>());
    let is_nearly_empty =
        |stats: &super::ImageStatistics| !stats.is_blank() && stats.ink <= MIN_FOREGROUND * usual;
    let remark = |stats: &super::ImageStatistics| {
        format!("{:.1} % foreground pixels, usually {:.0} %", 100. * stats.ink, 100. * usual)
    };
    let found = audited.readable().filter(|(_, stats)| is_nearly_empty(stats));
    let examples = found.map(|(index, stats)| audited.flag(index, remark(stats), false)).collect();
    let advice = "inspect them, and exclude empty ones";
    finding("nearly-empty", "nearly empty image(s)", advice, Severity::Note, examples)
}

/// Images that are much smaller than the others or have an unusual aspect ratio.
pub fn sizes(audited: &AuditedData) -> Vec<Finding> {
    let area =
        |(_, stats): (usize, &super::ImageStatistics)| f64::from(stats.width) * f64::from(stats.height);
    let aspect_ratio =
        |(_, stats): (usize, &super::ImageStatistics)| f64::from(stats.width) / f64::from(stats.height);
    let usual_area = median(&mut audited.readable().map(area).collect::<Vec<_>>());
    let usual = median(&mut audited.readable().map(aspect_ratio).collect::<Vec<_>>());
    let is_unusual = |readable: &(usize, &super::ImageStatistics)| {
        let ratio = aspect_ratio(*readable) / usual;
        area(*readable) * MAX_AREA_RATIO <= usual_area
            || !(1. / MAX_ASPECT_RATIO..=MAX_ASPECT_RATIO).contains(&ratio)
    };
    let unusual = audited.readable().filter(is_unusual);
    let examples = unusual.map(|(index, stats)| {
        audited.flag(index, format!("{} × {} pixels", stats.width, stats.height), false)
    });
    let advice = "check whether they are icons, strips or crops";
    finding(
        "odd-sizes",
        "image(s) have an unusual size or aspect ratio",
        advice,
        Severity::Note,
        examples.collect(),
    )
}
