//! Labels of a data set for each task.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::Dataset;
use super::targets::{Strata, TargetChoice, Targets, TaskKind, named_set, names, number, separator, task_of};
use crate::error::{Error, Location, Result, quoted};
use crate::label_columns::SEPARATOR;
use crate::labels::{indexes_among, shortened, sorted_classes};

/// The number of strata of a quantity.
const STRATA: usize = 10;

impl Dataset {
    /// The task.
    pub fn task(&self) -> TaskKind {
        self.targets.task()
    }

    /// The target of an example as text: its class, its labels separated by `|`, or its value.
    pub fn target_text(&self, index: usize) -> String {
        let label = self.labels[index] as usize;
        match &self.targets {
            Targets::Classes => self.classes[label].clone(),
            Targets::Sets(sets) => named_set(&sets[label], &self.classes),
            Targets::Values(values) => values[label].to_string(),
            Targets::Interactions => "chosen".to_string(),
        }
    }

    /// Converts examples with text labels, which the formats read as classes, to the chosen task.
    ///
    /// # Errors
    /// Labels that are not numbers, for regression.
    pub(crate) fn for_task(self, choice: TargetChoice) -> Result<Self> {
        if self.targets != Targets::Classes {
            // The format found the task.
            return Ok(self);
        }
        let task = match &self.table {
            Some(_) => task_of(choice, &self.classes, self.rows()),
            None => choice.task.unwrap_or(TaskKind::Classification),
        };
        match task {
            TaskKind::Classification => Ok(self),
            TaskKind::Multilabel => {
                let columns = self.table.as_ref().map_or(&[][..], |table| &table.label_columns);
                let names = columns.iter().map(|column| column.name.clone()).collect();
                Ok(self.into_multilabel(names))
            }
            TaskKind::Regression => self.into_regression(),
            TaskKind::Ranking => {
                let problem = "--task ranking needs a table with a column of users and one of items";
                Err(Error::data(self.path.as_path(), problem))
            }
        }
    }

    /// The location of the first example with this label.
    fn location_of_label(&self, label: usize) -> Location {
        let index = self.labels.iter().position(|other| *other as usize == label);
        index.map_or_else(|| Location::from(&*self.path), |index| self.location(index))
    }

    /// Splits labels such as `a|b` into their parts. `columns` are the names of label columns, whose labels are separated by
    /// [`SEPARATOR`]; without any, separator and labels are those of the texts.
    pub(crate) fn into_multilabel(mut self, columns: Vec<String>) -> Self {
        let separator = if columns.is_empty() { separator(&self.classes) } else { Some(SEPARATOR) };
        let texts: Vec<Vec<&str>> = self.classes.iter().map(|text| names(text, separator)).collect();
        let all = if columns.is_empty() {
            let mut all: Vec<String> = texts.iter().flatten().map(|name| name.to_string()).collect();
            all.sort_unstable();
            all.dedup();
            sorted_classes(all)
        } else {
            columns
        };
        let index: HashMap<&str, usize> =
            all.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        // `a|b` and `b|a` are the same set.
        let (mut sets, mut number_of) = (Vec::new(), HashMap::new());
        let mut number = |text: &Vec<&str>| {
            let mut set: Vec<usize> = text.iter().map(|name| index[name]).collect();
            set.sort_unstable();
            set.dedup();
            *number_of.entry(set.clone()).or_insert_with(|| {
                sets.push(set);
                sets.len() as i64 - 1
            })
        };
        let numbers: Vec<i64> = texts.iter().map(&mut number).collect();
        self.labels.iter_mut().for_each(|label| *label = numbers[*label as usize]);
        Dataset { targets: Targets::Sets(sets), classes: all, ..self }
    }

    fn into_regression(self) -> Result<Self> {
        let values = self.classes.iter().enumerate().map(|(label, text)| {
            number(text).ok_or_else(|| {
                let problem = format!(
                    "{} is not a finite number, so it cannot be predicted by regression",
                    quoted(text)
                );
                Error::data(self.location_of_label(label), problem)
            })
        });
        let values = values.collect::<Result<Vec<f32>>>()?;
        let label = self.table.as_ref().and_then(|table| table.label.as_ref());
        let name = label.map_or_else(|| "value".to_string(), |label| label.name.clone());
        Ok(Dataset { targets: Targets::Values(values), classes: vec![name], ..self })
    }

    /// The same examples, with labels of a model that has these classes, labels or quantity.
    ///
    /// # Errors
    /// A label that the model does not have, with its location.
    pub fn with_classes(self, classes: &[String]) -> Result<Self> {
        let targets = match &self.targets {
            Targets::Classes => {
                let labels = self.labels.iter().map(|label| *label as usize);
                let labels = indexes_among(classes, &self.classes, labels, |index| self.location(index))?;
                return Ok(Dataset { labels, classes: classes.to_vec(), ..self });
            }
            Targets::Sets(sets) => Targets::Sets(self.sets_among(sets, classes)?),
            Targets::Values(values) => Targets::Values(values.clone()),
            Targets::Interactions => Targets::Interactions,
        };
        Ok(Dataset { targets, classes: classes.to_vec(), ..self })
    }

    fn sets_among(&self, sets: &[Vec<usize>], classes: &[String]) -> Result<Vec<Vec<usize>>> {
        let index = |name: &String| classes.iter().position(|class| class == name);
        let known: Vec<Option<usize>> = self.classes.iter().map(index).collect();
        let of_set = |(label, set): (usize, &Vec<usize>)| {
            let index = |name: &usize| {
                known[*name].ok_or_else(|| {
                    let problem = format!(
                        "unknown label {}; the labels are {}",
                        quoted(&self.classes[*name]),
                        shortened(classes)
                    );
                    Error::data(self.location_of_label(label), problem)
                })
            };
            let mut set = set.iter().map(index).collect::<Result<Vec<usize>>>()?;
            set.sort_unstable();
            Ok(set)
        };
        sets.iter().enumerate().map(of_set).collect()
    }

    /// Strata of the examples: by class, by the rarest label of the example, by deciles of the quantity, or by user.
    pub fn strata(&self) -> Strata {
        match &self.targets {
            Targets::Classes => Strata { of_example: self.labels.clone(), count: self.classes.len() },
            Targets::Sets(sets) => {
                let counts = self.label_counts();
                let rarest = |set: &Vec<usize>| {
                    // The stratum 0 has the examples without labels.
                    set.iter().min_by_key(|label| counts[**label]).map_or(0, |label| *label as i64 + 1)
                };
                let of_set: Vec<i64> = sets.iter().map(rarest).collect();
                let of_example = self.labels.iter().map(|label| of_set[*label as usize]).collect();
                Strata { of_example, count: self.classes.len() + 1 }
            }
            Targets::Values(values) => {
                let of = |row: &usize| values[self.labels[*row] as usize];
                let mut order: Vec<usize> = (0..self.rows()).collect();
                order.sort_by(|a, b| of(a).total_cmp(&of(b)));
                let mut of_example = vec![0; self.rows()];
                for (rank, row) in order.iter().enumerate() {
                    of_example[*row] = (rank * STRATA / self.rows()) as i64;
                }
                Strata { of_example, count: STRATA }
            }
            Targets::Interactions => {
                let count = self.labels.iter().max().map_or(0, |last| *last as usize + 1);
                Strata { of_example: self.labels.clone(), count }
            }
        }
    }

    /// The number of examples of each class or label; empty for a quantity, and for choices of users.
    pub fn label_counts(&self) -> Vec<usize> {
        self.label_counts_of(&(0..self.rows()).collect::<Vec<_>>())
    }

    /// Like [`Dataset::label_counts`], among the examples at `indexes`.
    pub fn label_counts_of(&self, indexes: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        let labels = indexes.iter().map(|index| self.labels[*index] as usize);
        match &self.targets {
            Targets::Classes => labels.for_each(|label| counts[label] += 1),
            Targets::Sets(sets) => {
                labels.flat_map(|label| &sets[label]).for_each(|label| counts[*label] += 1)
            }
            Targets::Values(_) | Targets::Interactions => counts.clear(),
        }
        counts
    }

    /// Rejects data without anything to learn: a single class, no labels, the same labels everywhere, or a constant.
    pub(super) fn check_targets(&self) -> Result<()> {
        let problem = match &self.targets {
            Targets::Classes => match &self.classes[..] {
                [only] => format!(
                    "every example has the label {}; a classifier needs at least two classes",
                    quoted(only)
                ),
                _ => return Ok(()),
            },
            Targets::Sets(_) if self.classes.is_empty() => "no example has a label".to_string(),
            Targets::Sets(_) if self.labels.windows(2).all(|pair| pair[0] == pair[1]) => format!(
                "every example has the labels {}; there is nothing to learn",
                quoted(&self.target_text(0))
            ),
            Targets::Values(_) if self.labels.windows(2).all(|pair| pair[0] == pair[1]) => {
                format!("{} is {} in every example", quoted(&self.classes[0]), self.target_text(0))
            }
            _ => return Ok(()),
        };
        Err(Error::data(self.path.as_path(), problem))
    }

    /// Rejects options and commands that need classes.
    ///
    /// # Errors
    /// Data of another task. `subject` names what needs classes, such as `--sampling balanced`.
    pub fn require_classes(&self, subject: &str) -> Result<()> {
        match self.targets {
            Targets::Classes => Ok(()),
            _ => Err(Error::data(
                self.path.as_path(),
                format!("{subject} works only for classification, and this is {}", self.task().described()),
            )),
        }
    }
}
