//! The facts of a card: model file, dataset and split, and evaluation results.

use std::collections::HashSet;
use std::path::Path;
use std::time::SystemTime;

use super::markdown::code;
use super::{indexes, parts};
use crate::data::options::Missing;
use crate::data::{
    Dataset, Grouping, Names, Split, SplitMethod, Subset, TaskKind, ValueSummary, lists, sha256,
};
use crate::error::{Error, Result};
use crate::evaluate::groups::GroupReport;
use crate::evaluate::interval::intervals;
use crate::evaluate::numbers::thousands;
use crate::evaluate::{ClassificationReport, Evaluation, Interval, METRICS, Metric, Sums};
use crate::loader::EvaluationLoader;
use crate::model::Outputs;
use crate::options::Config;
use crate::predict::Classifier;
use crate::run::date;

/// The model file.
pub struct ModelFile {
    /// Size in bytes.
    pub bytes: usize,
    /// SHA-256.
    pub sha256: String,
    /// Modification date in UTC; `None` if it is unknown or in the future.
    pub date: Option<String>,
}

impl ModelFile {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let written = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let date = written.filter(|time| *time <= SystemTime::now()).and_then(date::day);
        Ok(ModelFile { bytes: bytes.len(), sha256: sha256(&bytes), date })
    }
}

/// Number of examples by class, group and part of the split.
pub struct SplitCounts {
    /// The number of examples in each non-empty part, `training` first.
    pub sizes: Vec<usize>,
    /// The parts, with the number of examples per class or label; empty for a quantity.
    pub of_classes: Vec<(&'static str, Vec<usize>)>,
    /// The distribution of a quantity in each part; empty for other tasks.
    pub of_values: Vec<ValueSummary>,
    /// The attribute that defines the groups, if groups are compared.
    pub grouped_by: Option<String>,
    /// The groups, with the number of examples in each part.
    pub of_groups: Vec<(String, Vec<usize>)>,
    /// Examples that are in no part, and columns that are not model inputs.
    pub left_out: Vec<String>,
    /// Description of the split.
    pub split: String,
    /// Whether examples were drawn individually, so that one source may be in several parts.
    pub is_row_by_row: bool,
    /// Whether examples are rows of a table.
    pub is_table: bool,
    /// Whether the model is a bag, whose validation set is its training set.
    is_bag: bool,
}

impl SplitCounts {
    pub(super) fn new(
        dataset: &Dataset,
        split: &Split,
        config: &Config,
        groups: Option<&Grouping>,
    ) -> Result<Self> {
        let all: Vec<_> = std::iter::once(("training", &split.train[..])).chain(parts(split)).collect();
        let of_class = |rows: &[i64]| dataset.label_counts_of(&indexes(rows).collect::<Vec<_>>());
        let of_groups = |grouping: &Grouping| -> Vec<_> {
            let counts: Vec<_> =
                all.iter().map(|(_, rows)| grouping.select(indexes(rows)).counts()).collect();
            let of = |index: usize| counts.iter().map(|counts| counts[index]).collect();
            grouping.names.iter().enumerate().map(|(index, name)| (name.clone(), of(index))).collect()
        };
        let (how, is_row_by_row) = split_of(dataset, config);
        let of_values = |rows: &[i64]| dataset.value_summary_of(indexes(rows));
        Ok(SplitCounts {
            sizes: all.iter().map(|(_, rows)| rows.len()).collect(),
            of_values: all.iter().filter_map(|(_, rows)| of_values(rows)).collect(),
            of_classes: all.iter().map(|(name, rows)| (*name, of_class(rows))).collect(),
            grouped_by: groups.map(|grouping| grouping.by.clone()),
            of_groups: groups.map(of_groups).unwrap_or_default(),
            left_out: left_out(dataset, split, config)?,
            split: how,
            is_row_by_row,
            is_table: matches!(dataset.names, Names::Lines { .. }),
            is_bag: split.folds.is_some(),
        })
    }

    /// Number of examples in all parts.
    pub fn total(&self) -> usize {
        self.disjoint(&self.sizes).sum()
    }

    /// The entries of parts without a common example. The second part of a bag is the first one.
    fn disjoint<'a, T>(&self, parts: &'a [T]) -> impl Iterator<Item = &'a T> {
        let is_bag = self.is_bag;
        parts.iter().enumerate().filter(move |(place, _)| !(is_bag && *place == 1)).map(|(_, part)| part)
    }

    /// Number of examples per class or label in all parts; empty for a quantity.
    pub(crate) fn by_class(&self) -> Vec<usize> {
        let classes = self.of_classes[0].1.len();
        let of = |class: usize| self.disjoint(&self.of_classes).map(|(_, counts)| counts[class]).sum();
        (0..classes).map(of).collect()
    }
}

/// A description of the split, and whether examples were drawn individually.
fn split_of(dataset: &Dataset, config: &Config) -> (String, bool) {
    if let Some(method) = &config.split {
        return (split_by(method, config), false);
    }
    let has_lists =
        [&config.train_list, &config.validation_list, &config.test_list].iter().any(|list| list.is_some());
    let has_validation =
        dataset.portions.as_ref().is_some_and(|portions| portions.contains(&Subset::Validation));
    let is_given = if has_lists { config.validation_list.is_some() } else { has_validation };
    let is_drawn = config.fold.is_some() || config.bag > 0 || !is_given;
    let amount = match (config.fold, config.folds, config.bag) {
        (Some(fold), Some(folds), _) => format!("fold {fold} of {folds}"),
        (.., 1..) => format!("{} folds", config.bag),
        _ => format!("{:.0} %", 100. * config.validation),
    };
    let members = match config.bag {
        0 => "",
        _ => ", each of the model that is trained without it",
    };
    let manner = match &config.reading.group {
        Some(group) => format!(" for validation, in whole groups of the column {}", code(&group.to_string())),
        None => match dataset.task() {
            TaskKind::Classification => " of each class for validation",
            TaskKind::Multilabel => " for validation, of the examples with each rarest label",
            TaskKind::Regression => " of each tenth of the values for validation",
            TaskKind::Ranking => " of the choices of each user for validation",
        }
        .to_string(),
    };
    let drawn = format!("{amount}{manner}{members}, drawn with seed {}", config.seed);
    let text = match (has_lists, dataset.portions.is_some()) {
        (true, _) if is_drawn => format!("by lists of examples; from the training set, {drawn}"),
        (true, _) => "by lists of examples".to_string(),
        (false, true) if is_drawn => format!("the split of the dataset; from its training set, {drawn}"),
        (false, true) => "the split of the dataset".to_string(),
        (false, false) => drawn,
    };
    (text, is_drawn && config.reading.group.is_none())
}

/// A description of a split by `--split`.
fn split_by(method: &SplitMethod, config: &Config) -> String {
    match method {
        SplitMethod::Time(column) => format!(
            "by time, the column {}: the newest {share:.0} % for testing, the {share:.0} % before them for validation",
            code(&column.to_string()),
            share = 100. * config.validation
        ),
        SplitMethod::LeaveOneOut(column) => {
            let order = column.as_ref().map_or("in the order of the rows".to_string(), |column| {
                format!("in the order of the column {}", code(&column.to_string()))
            });
            format!("the last choice of each user for testing, the one before it for validation, {order}")
        }
    }
}

fn left_out(dataset: &Dataset, split: &Split, config: &Config) -> Result<Vec<String>> {
    let mut left_out = Vec::new();
    if let Some(list) = &config.reading.exclude {
        let (count, name) =
            (lists::names(list)?.len(), list.file_name().unwrap_or_default().to_string_lossy());
        left_out.push(format!("{} examples on the list {} (`--exclude`)", thousands(count), code(&name)));
    }
    if config.reading.missing == Missing::Drop {
        left_out.push("rows with missing values (`--missing drop`)".to_string());
    }
    if let Some(columns) = &config.reading.ignore {
        left_out.push(format!("from the inputs: {} (`--ignore`)", code(columns)));
    }
    if let Some(column) = &config.reading.group {
        left_out.push(format!(
            "from the inputs: {}, the group column of the split (`--group`)",
            code(&column.to_string())
        ));
    }
    let parts: HashSet<i64> = split.parts().into_iter().flat_map(|(_, rows)| rows).copied().collect();
    let parts = parts.len();
    if parts < dataset.rows() {
        left_out.push(format!("{} examples that are on no list", thousands(dataset.rows() - parts)));
    }
    Ok(left_out)
}

/// Evaluation on a part of the split.
pub struct PartEvaluation {
    /// The part: `validation` or `test`.
    pub name: &'static str,
    /// The evaluation.
    pub evaluation: Evaluation,
    /// Its metrics, with those of the groups.
    pub report: ClassificationReport,
    /// Number of examples that could not be read.
    pub unreadable: usize,
    intervals: Vec<Option<Interval>>,
}

impl PartEvaluation {
    pub(super) fn new(
        name: &'static str,
        classifier: &Classifier,
        feed: &dyn EvaluationLoader,
        groups: Option<(Grouping, u64)>,
    ) -> Result<Self> {
        let evaluation = classifier.evaluate(feed)?;
        let ood_scores = classifier.ood_scores(feed, &evaluation)?;
        let classes = &classifier.metadata().classes;
        let kept = feed.kept();
        let of_groups = |(grouping, least): (Grouping, u64)| {
            GroupReport::new(&evaluation, classes, &grouping.select(kept.iter().copied()), least)
        };
        let groups = groups.map(of_groups).transpose()?;
        let report = ClassificationReport { groups, ..ClassificationReport::new(&evaluation, classes) };
        let metadata = classifier.metadata();
        let report = report
            .with_outputs(&metadata.outputs, &evaluation)
            .with_sets(metadata.conformal.as_ref(), &evaluation)
            .with_ood(metadata.ood.as_ref(), ood_scores.as_deref());
        let intervals = intervals(&evaluation, &metadata.outputs);
        Ok(PartEvaluation { name, report, unreadable: feed.rows() - kept.len(), intervals, evaluation })
    }

    /// The evaluation of recommendations.
    pub(super) fn of_ranking(name: &'static str, evaluation: Evaluation) -> Self {
        let report = ClassificationReport::new(&evaluation, &[]);
        let intervals = intervals(&evaluation, &Outputs::Ranking);
        PartEvaluation { name, report, unreadable: 0, intervals, evaluation }
    }

    /// The metrics with a value, each with its value and interval.
    pub fn metrics(&self) -> impl Iterator<Item = (&'static Metric, f64, Option<Interval>)> {
        METRICS.iter().zip(&self.intervals).filter_map(|(metric, interval)| {
            let figure = self.report.metrics.iter().find(|figure| figure.name == metric.name)?;
            Some((metric, figure.value, *interval))
        })
    }

    /// The main metric with its value and interval: accuracy, micro F1 or R². `None` if R² is undefined, since all values are equal.
    pub fn headline(&self) -> Option<(&'static Metric, f64, Option<Interval>)> {
        let name = match &self.evaluation.sums {
            Sums::Classes(_) => "accuracy",
            Sums::Labels(_) => "micro F1",
            Sums::Values(_) => "R²",
            Sums::Ranking(_) => "NDCG@10",
        };
        self.metrics().find(|(metric, ..)| metric.name == name)
    }
}
