//! Metrics per group.

use crate::evaluate::MAX_SHOWN_CLASSES;
use crate::evaluate::groups::{GroupDifference, GroupMetrics, GroupReport};
use crate::evaluate::numbers::{percent, thousands};
use crate::report::card::markdown::{plain, table};

/// Renders the group metrics.
pub fn of(report: &GroupReport) -> String {
    let row = |group: &GroupMetrics| {
        let interval = group.accuracy_interval;
        let mark = if group.is_compared { "" } else { " (few)" };
        vec![
            format!("{}{mark}", plain(&group.group)),
            thousands(group.rows as usize),
            percent(Some(group.accuracy)),
            format!("{} to {}", percent(Some(interval.low)), percent(Some(interval.high))),
            format!("{:.4}", group.calibration_error),
        ]
    };
    let columns = ["group", "examples:", "accuracy:", "95 % interval:", "calibration error:"];
    let few = if report.groups.iter().any(|group| !group.is_compared) {
        format!(
            "\nGroups marked as few have fewer than {} examples and are excluded from the differences.\n",
            report.least_rows
        )
    } else {
        String::new()
    };
    format!(
        "### Groups by {}\n\n{}{few}\n{}\n{}",
        plain(&report.by),
        table(&columns, report.groups.iter().map(row)),
        differences(report),
        rates(report)
    )
}

fn differences(report: &GroupReport) -> String {
    let row = |(name, difference): (&str, &Option<GroupDifference>)| {
        let Some(GroupDifference { value, least, most, class, figure, rows }) = difference else {
            return vec![
                name.to_string(),
                "–".to_string(),
                "no group has enough examples".to_string(),
                "–".to_string(),
            ];
        };
        let of_class = class.as_ref().map_or(String::new(), |class| format!(" of {}", plain(class)));
        let ends = format!("{figure}{of_class}: lowest for {}, highest for {}", plain(least), plain(most));
        vec![name.to_string(), format!("{:.2} points", 100. * value), ends, thousands(*rows as usize)]
    };
    let table =
        table(&["difference", "value:", "where", "examples:"], report.differences().into_iter().map(row));
    let verdict = if report.groups.iter().filter(|group| group.is_compared).count() < 2 {
        "Fewer than two groups have enough examples, so groups are not compared.\n"
    } else if intervals_overlap(report) {
        "All accuracy intervals overlap, so the accuracy gap may be due to sampling; a larger true gap is also \
         possible.\n"
    } else {
        "The accuracy intervals of some groups do not overlap: the model performs differently for them.\n"
    };
    format!(
        "{table}\nThe accuracy gap is the largest accuracy minus the smallest. Demographic parity compares the selection rate of \
         a class, equalized odds (Hardt et al., 2016) its true positive rate and false positive rate; \
         each class is compared with all others, and the largest difference is reported. The last column is the number of examples \
         of the smaller of the two groups: a difference from few examples is uncertain. {verdict}"
    )
}

/// Whether the differences in accuracy may be due to chance.
fn intervals_overlap(report: &GroupReport) -> bool {
    let intervals: Vec<_> =
        report.groups.iter().filter(|group| group.is_compared).map(|group| group.accuracy_interval).collect();
    intervals.iter().all(|a| intervals.iter().all(|b| a.overlaps(b)))
}

fn rates(report: &GroupReport) -> String {
    if report.groups.first().is_none_or(|group| group.classes.len() > MAX_SHOWN_CLASSES) {
        return "There are too many classes to list the rates here; `cresset eval --json` writes them.\n"
            .to_string();
    }
    let rows = report.groups.iter().flat_map(|group| {
        group.classes.iter().map(|rates| {
            vec![
                plain(&group.group),
                plain(&rates.class),
                thousands(rates.rows as usize),
                percent(rates.true_positive_rate),
                percent(rates.false_positive_rate),
                percent(Some(rates.selection_rate)),
            ]
        })
    });
    let columns =
        ["group", "class", "examples:", "true positive rate:", "false positive rate:", "selection rate:"];
    table(&columns, rows)
}
