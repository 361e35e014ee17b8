//! Examples that are unlike all others.

use super::{Finding, Mention, Severity, Subject};

/// Values further from the median than this many deviations are worth a look. Deviations are measured by the median of
/// the distances, which the outliers themselves do not move.
const FAR: f64 = 20.;

/// A picture with so little of the ink that the others have is nearly empty.
const LITTLE_INK: f64 = 0.05;

/// A picture whose area is so many times smaller than is usual, or whose proportions are so many times others.
const ODD_AREA: f64 = 16.;
const ODD_PROPORTIONS: f64 = 3.;

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn finding(
    check: &'static str,
    what: &str,
    advice: &'static str,
    severity: Severity,
    examples: Vec<Mention>,
) -> Vec<Finding> {
    if examples.is_empty() {
        return Vec::new();
    }
    vec![Finding { check, severity, summary: format!("{} {what}", examples.len()), advice, examples }]
}

/// Rows of a table with a value far from all others of its column.
pub fn values(subject: &Subject) -> Vec<Finding> {
    let mut examples = Vec::new();
    for (name, values) in subject.columns {
        let own = || values.iter().map(|value| f64::from(*value));
        let middle = median(&mut own().filter(|value| !value.is_nan()).collect::<Vec<_>>());
        let distance = |value: f64| (value - middle).abs();
        let spread = median(&mut own().filter(|value| !value.is_nan()).map(distance).collect::<Vec<_>>());
        // The factor makes it the standard deviation for values that are normally distributed. A column that mostly has
        // one value has no spread to measure by.
        let deviation = 1.4826 * spread;
        if deviation == 0. {
            continue;
        }
        for (row, value) in own().enumerate().filter(|(_, value)| distance(*value) > FAR * deviation) {
            let remark = format!("{name} is {value}, the median {middle}");
            examples.push(subject.mention(row, remark, false));
        }
    }
    finding(
        "outliers",
        "value(s) are far from all others",
        "look for slips of the pen and wrong units",
        Severity::Note,
        examples,
    )
}

/// Pictures that show nothing.
pub fn pictures(subject: &Subject) -> Vec<Finding> {
    let blank = subject.seen().filter(|(_, look)| look.is_blank());
    let remark = |look: &super::Look| {
        let shade = format!("one shade of grey, {:.0} of 255", look.mean);
        look.remark.as_ref().map_or(shade.clone(), |remark| format!("{shade}; {remark}"))
    };
    let examples = blank.map(|(index, look)| subject.mention(index, remark(look), true)).collect();
    finding("blank", "picture(s) show nothing", "leave them out", Severity::Warning, examples)
}

/// Pictures that show next to nothing beside the others.
pub fn nearly_empty(subject: &Subject) -> Vec<Finding> {
    let usual = median(&mut subject.seen().map(|(_, look)| look.ink).collect::<Vec<_>>());
    let is_near = |look: &super::Look| !look.is_blank() && look.ink <= LITTLE_INK * usual;
    let remark = |look: &super::Look| {
        format!("{:.1} % differs from the ground, of the others {:.0} %", 100. * look.ink, 100. * usual)
    };
    let found = subject.seen().filter(|(_, look)| is_near(look));
    let examples = found.map(|(index, look)| subject.mention(index, remark(look), false)).collect();
    let advice = "look at them, and leave out those that show nothing";
    finding(
        "nearly-empty",
        "image(s) show next to nothing beside the others",
        advice,
        Severity::Note,
        examples,
    )
}

/// Pictures that are much smaller than the others, or of other proportions.
pub fn sizes(subject: &Subject) -> Vec<Finding> {
    let area = |(_, look): (usize, &super::Look)| f64::from(look.width) * f64::from(look.height);
    let proportions = |(_, look): (usize, &super::Look)| f64::from(look.width) / f64::from(look.height);
    let usual_area = median(&mut subject.seen().map(area).collect::<Vec<_>>());
    let usual = median(&mut subject.seen().map(proportions).collect::<Vec<_>>());
    let is_odd = |seen: &(usize, &super::Look)| {
        let ratio = proportions(*seen) / usual;
        area(*seen) * ODD_AREA <= usual_area || !(1. / ODD_PROPORTIONS..=ODD_PROPORTIONS).contains(&ratio)
    };
    let odd = subject.seen().filter(is_odd);
    let examples = odd.map(|(index, look)| {
        subject.mention(index, format!("{} × {} pixels", look.width, look.height), false)
    });
    let advice = "look whether they are icons, strips or parts of pictures";
    finding(
        "odd-sizes",
        "picture(s) have an unusual size or shape",
        advice,
        Severity::Note,
        examples.collect(),
    )
}
