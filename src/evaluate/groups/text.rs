//! Group reports as text and CSV records.

use super::{GroupDifference, GroupReport, Rates};
use crate::data::terminal;
use crate::evaluate::numbers::percent;
use crate::evaluate::{Interval, MAX_SHOWN_CLASSES};

impl GroupReport {
    /// The report as records of (figure, class, value); the name of the figure includes the group.
    pub fn records(&self) -> Vec<[String; 3]> {
        let value = |share: Option<f64>| share.map_or(String::new(), |share| share.to_string());
        let mut records = Vec::new();
        for group in &self.groups {
            let name = |figure: &str| format!("{figure}, {} {}", self.by, group.group);
            records.push([name("rows"), String::new(), group.rows.to_string()]);
            records.push([name("accuracy"), String::new(), group.accuracy.to_string()]);
            records.push([name("calibration error"), String::new(), group.calibration_error.to_string()]);
            for rates in &group.classes {
                let figures = [
                    ("true positive rate", rates.true_positive_rate),
                    ("false positive rate", rates.false_positive_rate),
                    ("selection rate", Some(rates.selection_rate)),
                ];
                records
                    .extend(figures.map(|(figure, rate)| [name(figure), rates.class.clone(), value(rate)]));
            }
        }
        for (name, difference) in self.differences() {
            let share = difference.as_ref().map(|difference| difference.value);
            records.push([format!("{name}, {}", self.by), String::new(), value(share)]);
        }
        records
    }

    /// The report as text tables.
    pub fn to_text(&self) -> String {
        let mut escaped = self.clone();
        let escape = |text: &mut String| *text = terminal::line(text).into_owned();
        escape(&mut escaped.by);
        for group in &mut escaped.groups {
            escape(&mut group.group);
            group.classes.iter_mut().for_each(|rates| escape(&mut rates.class));
        }
        escaped.tables()
    }

    fn tables(&self) -> String {
        let length = |text: &str| text.chars().count();
        let width =
            self.groups.iter().map(|group| length(&group.group)).chain([length(&self.by)]).max().unwrap_or(0);
        let mut text = format!(
            "\n{:<width$}  {:>8}  {:>9}  {:>19}  {:>11}\n",
            self.by, "examples", "accuracy", "95 % interval", "calibration"
        );
        for group in &self.groups {
            let Interval { low, high } = group.accuracy_interval;
            let interval = format!("{:.2} – {:.2} %", 100. * low, 100. * high);
            let (accuracy, mark) =
                (percent(Some(group.accuracy)), if group.is_compared { "" } else { "  *" });
            text += &format!(
                "{:<width$}  {:>8}  {accuracy:>9}  {interval:>19}  {:>11.4}{mark}\n",
                group.group, group.rows, group.calibration_error
            );
        }
        if self.groups.iter().any(|group| !group.is_compared) {
            text += &format!("* fewer than {} examples: excluded from the differences\n", self.least_rows);
        }
        text += "\n";
        for (name, difference) in self.differences() {
            let shown = difference
                .as_ref()
                .map_or("–, no group has enough examples".to_string(), GroupDifference::to_text);
            text += &format!("{name:<29}  {shown}\n");
        }
        if self.groups.first().is_some_and(|group| group.classes.len() <= MAX_SHOWN_CLASSES) {
            text += &self.rates(width);
        }
        text
    }

    fn rates(&self, width: usize) -> String {
        let classes = self.groups.iter().flat_map(|group| &group.classes);
        let class_width = classes.map(|rates| rates.class.chars().count()).max().unwrap_or(0).max(5);
        let mut text = format!(
            "\n{:<width$}  {:<class_width$}  {:>8}  {:>13}  {:>14}\n",
            self.by, "class", "examples", "true positive", "false positive"
        );
        for (group, rates) in
            self.groups.iter().flat_map(|group| group.classes.iter().map(move |rates| (group, rates)))
        {
            let (tpr, fpr) = (percent(rates.true_positive_rate), percent(rates.false_positive_rate));
            let (group, Rates { class, rows, .. }) = (&group.group, rates);
            text += &format!("{group:<width$}  {class:<class_width$}  {rows:>8}  {tpr:>13}  {fpr:>14}\n");
        }
        text
    }
}

impl GroupDifference {
    fn to_text(&self) -> String {
        let GroupDifference { value, least, most, class, figure, rows } = self;
        let class = class.as_ref().map_or(String::new(), |class| format!(" of {}", terminal::line(class)));
        let (least, most) = (terminal::line(least), terminal::line(most));
        format!(
            "{:.2} points  ({figure}{class}: lowest {least}, highest {most}; at least {rows} examples each)",
            100. * value
        )
    }
}
