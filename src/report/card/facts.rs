//! The facts of a card: the file of the model, the rows of its data, and what was found on some of them.

use std::path::Path;
use std::time::SystemTime;

use super::markdown::code;
use super::{indexes, parts};
use crate::data::options::Missing;
use crate::data::{Dataset, Grouping, Names, Portion, Split, lists, sha256};
use crate::error::{Error, Result};
use crate::evaluate::groups::GroupReport;
use crate::evaluate::interval::intervals;
use crate::evaluate::numbers::thousands;
use crate::evaluate::{Evaluation, Interval, METRICS, Metric, Report};
use crate::loader::HeldOutFeed;
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::date;

/// The file of a model.
pub struct File {
    /// Its size in bytes.
    pub bytes: usize,
    /// Its SHA-256.
    pub sha256: String,
    /// The day that it was written, in UTC, if the file system has one that can be true.
    pub date: Option<String>,
}

impl File {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let written = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let date = written.filter(|time| *time <= SystemTime::now()).and_then(date::day);
        Ok(File { bytes: bytes.len(), sha256: sha256(&bytes), date })
    }
}

/// The rows of the data.
pub struct Rows {
    /// The parts that have rows, `training` first, with the number of rows of each class.
    pub of_classes: Vec<(&'static str, Vec<usize>)>,
    /// What makes the groups, if they are compared.
    pub grouped_by: Option<String>,
    /// The groups, with the number of their rows in each of those parts.
    pub of_groups: Vec<(String, Vec<usize>)>,
    /// What of the data is in no part, and what the model does not see.
    pub left_out: Vec<String>,
    /// How the parts came about.
    pub split: String,
    /// Whether rows were drawn one by one, so that those of one source may be in several parts.
    pub is_row_by_row: bool,
    /// Whether an example is called by its place in a table.
    pub is_table: bool,
}

impl Rows {
    pub(super) fn new(
        dataset: &Dataset,
        split: &Split,
        config: &Config,
        groups: Option<&Grouping>,
    ) -> Result<Self> {
        let all: Vec<_> = std::iter::once(("training", &split.train[..])).chain(parts(split)).collect();
        let of_class = |rows: &[i64]| {
            let mut counts = vec![0; dataset.classes.len()];
            rows.iter().for_each(|row| counts[dataset.labels[*row as usize] as usize] += 1);
            counts
        };
        let of_groups = |grouping: &Grouping| -> Vec<_> {
            let counts: Vec<_> =
                all.iter().map(|(_, rows)| grouping.select(indexes(rows)).counts()).collect();
            let of = |index: usize| counts.iter().map(|counts| counts[index]).collect();
            grouping.names.iter().enumerate().map(|(index, name)| (name.clone(), of(index))).collect()
        };
        let (how, is_row_by_row) = split_of(dataset, config);
        Ok(Rows {
            of_classes: all.iter().map(|(name, rows)| (*name, of_class(rows))).collect(),
            grouped_by: groups.map(|grouping| grouping.by.clone()),
            of_groups: groups.map(of_groups).unwrap_or_default(),
            left_out: left_out(dataset, split, config)?,
            split: how,
            is_row_by_row,
            is_table: matches!(dataset.names, Names::Lines { .. }),
        })
    }

    /// The rows of all parts.
    pub fn total(&self) -> usize {
        self.of_classes.iter().flat_map(|(_, counts)| counts).sum()
    }

    /// The rows of each class, in all parts together.
    pub fn by_class(&self) -> Vec<usize> {
        let classes = self.of_classes[0].1.len();
        (0..classes).map(|class| self.of_classes.iter().map(|(_, counts)| counts[class]).sum()).collect()
    }
}

/// How the parts came about, and whether by drawing single rows.
fn split_of(dataset: &Dataset, config: &Config) -> (String, bool) {
    let has_lists =
        [&config.train_list, &config.validation_list, &config.test_list].iter().any(|list| list.is_some());
    let has_validation =
        dataset.portions.as_ref().is_some_and(|portions| portions.contains(&Portion::Validation));
    let is_given = if has_lists { config.validation_list.is_some() } else { has_validation };
    let is_drawn = config.fold.is_some() || !is_given;
    let amount = match (config.fold, config.folds) {
        (Some(fold), Some(folds)) => format!("part {fold} of {folds}"),
        _ => format!("{:.0} %", 100. * config.validation),
    };
    let manner = match &config.reading.group {
        Some(group) => format!(" held out, in whole groups of the column {}", code(&group.to_string())),
        None => " of each class held out".to_string(),
    };
    let drawn = format!("{amount}{manner}, drawn by seed {}", config.seed);
    let text = match (has_lists, dataset.portions.is_some()) {
        (true, _) if is_drawn => format!("by lists of rows; of those to train on, {drawn}"),
        (true, _) => "by lists of rows".to_string(),
        (false, true) if is_drawn => format!("as the data comes; of its training part, {drawn}"),
        (false, true) => "as the data comes".to_string(),
        (false, false) => drawn,
    };
    (text, is_drawn && config.reading.group.is_none())
}

fn left_out(dataset: &Dataset, split: &Split, config: &Config) -> Result<Vec<String>> {
    let mut left_out = Vec::new();
    if let Some(list) = &config.reading.exclude {
        let (count, name) =
            (lists::names(list)?.len(), list.file_name().unwrap_or_default().to_string_lossy());
        left_out.push(format!("{} rows that the list {} names (`--exclude`)", thousands(count), code(&name)));
    }
    if config.reading.missing == Missing::Drop {
        left_out.push("rows that lack a value (`--missing drop`)".to_string());
    }
    if let Some(columns) = &config.reading.ignore {
        left_out.push(format!("from the inputs: {} (`--ignore`)", code(columns)));
    }
    if let Some(column) = &config.reading.group {
        left_out.push(format!(
            "from the inputs: {}, which names the groups of the split (`--group`)",
            code(&column.to_string())
        ));
    }
    let parts: usize = split.parts().iter().map(|(_, rows)| rows.len()).sum();
    if parts < dataset.rows() {
        left_out.push(format!("{} rows that are on none of the lists", thousands(dataset.rows() - parts)));
    }
    Ok(left_out)
}

/// What was found on a part of the data.
pub struct Measured {
    /// The part, `held-out` or `test`.
    pub name: &'static str,
    /// What was found.
    pub found: Evaluation,
    /// The same as figures, with those of the groups.
    pub report: Report,
    /// Rows of the part that could not be read.
    pub unreadable: usize,
    intervals: Vec<Option<Interval>>,
}

impl Measured {
    pub(super) fn new(
        name: &'static str,
        classifier: &Classifier,
        feed: &dyn HeldOutFeed,
        groups: Option<(Grouping, u64)>,
    ) -> Result<Self> {
        let found = classifier.evaluate(feed)?;
        let classes = &classifier.metadata().classes;
        let kept = feed.kept();
        let of_groups = |(grouping, least): (Grouping, u64)| {
            GroupReport::new(&found, classes, &grouping.select(kept.iter().copied()), least)
        };
        let groups = groups.map(of_groups).transpose()?;
        let report = Report { groups, ..Report::new(&found, classes) };
        let intervals = intervals(&found);
        Ok(Measured { name, report, unreadable: feed.rows() - kept.len(), intervals, found })
    }

    /// The metrics that have a value here, each with its value and its interval.
    pub fn metrics(&self) -> impl Iterator<Item = (&'static Metric, f64, Option<Interval>)> {
        METRICS.iter().zip(&self.intervals).filter_map(|(metric, interval)| {
            let figure = self.report.metrics.iter().find(|figure| figure.name == metric.name)?;
            Some((metric, figure.value, *interval))
        })
    }

    /// The interval of the accuracy.
    pub fn accuracy(&self) -> (f64, Interval) {
        let (_, value, interval) =
            self.metrics().find(|(metric, ..)| metric.name == "accuracy").expect("there is an accuracy");
        (value, interval.unwrap_or(Interval { low: 0., high: 1. }))
    }
}
