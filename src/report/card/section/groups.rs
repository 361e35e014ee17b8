//! The figures of the groups.

use crate::evaluate::MOST_SHOWN;
use crate::evaluate::groups::{Difference, GroupFigures, GroupReport};
use crate::evaluate::numbers::{percent, thousands};
use crate::report::card::markdown::{plain, table};

/// What was found of the groups.
pub fn of(report: &GroupReport) -> String {
    let row = |group: &GroupFigures| {
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
    let columns = ["group", "rows:", "accuracy:", "95 % interval:", "calibration error:"];
    let few = if report.groups.iter().any(|group| !group.is_compared) {
        format!(
            "\nGroups marked as few have less than {} rows and take no part in the differences.\n",
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
    let row = |(name, difference): (&str, &Option<Difference>)| {
        let Some(Difference { value, least, most, class, figure, rows }) = difference else {
            return vec![
                name.to_string(),
                "–".to_string(),
                "no group has rows enough".to_string(),
                "–".to_string(),
            ];
        };
        let of_class = class.as_ref().map_or(String::new(), |class| format!(" of {}", plain(class)));
        let ends = format!("{figure}{of_class}: least for {}, most for {}", plain(least), plain(most));
        vec![name.to_string(), format!("{:.2} points", 100. * value), ends, thousands(*rows as usize)]
    };
    let table =
        table(&["difference", "value:", "where", "from rows:"], report.differences().into_iter().map(row));
    let verdict = if report.groups.iter().filter(|group| group.is_compared).count() < 2 {
        "Fewer than two groups have rows enough, so nothing is compared.\n"
    } else if alike(report) {
        "The intervals of all accuracies overlap, so the accuracy gap can come from the choice of rows alone, and so can the absence \
         of a larger one.\n"
    } else {
        "The intervals of the accuracies of some groups do not overlap: the model serves them differently.\n"
    };
    format!(
        "{table}\nThe accuracy gap is the largest accuracy less the smallest. Demographic parity asks how often a class is \
         answered, equalised odds (Hardt et al., 2016) how often rightly (true positive rate) and wrongly (false positive rate); \
         each class stands against all others, and the largest difference counts. The last column is the number of rows behind the figure \
         of the group that has fewer: a difference from a handful of rows says little. {verdict}"
    )
}

/// Whether chance may make the accuracies differ as they do.
fn alike(report: &GroupReport) -> bool {
    let intervals: Vec<_> =
        report.groups.iter().filter(|group| group.is_compared).map(|group| group.accuracy_interval).collect();
    intervals.iter().all(|a| intervals.iter().all(|b| a.overlaps(b)))
}

fn rates(report: &GroupReport) -> String {
    if report.groups.first().is_none_or(|group| group.classes.len() > MOST_SHOWN) {
        return "The rates of so many classes are in the file of `cresset eval --json`.\n".to_string();
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
        ["group", "class", "rows:", "true positive rate:", "false positive rate:", "selection rate:"];
    table(&columns, rows)
}
