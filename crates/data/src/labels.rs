//! Converts text labels to indexes into sorted classes.

use std::collections::HashMap;

use crate::error::{Error, Location, Result, excerpt, quoted};

/// Collects the labels of examples and stores each distinct text once.
#[derive(Debug, Default)]
pub struct LabelsBuilder {
    names: Vec<String>,
    index_of: HashMap<String, u32>,
    indexes: Vec<u32>,
}

impl LabelsBuilder {
    /// Adds the label of the next example.
    pub fn push(&mut self, label: &str) {
        let index = match self.index_of.get(label) {
            Some(index) => *index,
            None => {
                let index = self.names.len() as u32;
                self.names.push(label.to_string());
                self.index_of.insert(label.to_string(), index);
                index
            }
        };
        self.indexes.push(index);
    }

    /// Returns the classes in order ([`sorted_classes`]) and each example's index into them.
    pub fn finish(self) -> (Vec<String>, Vec<i64>) {
        let classes = sorted_classes(self.names.clone());
        let index_in_classes: HashMap<&str, i64> =
            classes.iter().enumerate().map(|(index, class)| (class.as_str(), index as i64)).collect();
        let new_index: Vec<i64> = self.names.iter().map(|name| index_in_classes[name.as_str()]).collect();
        let labels = self.indexes.iter().map(|index| new_index[*index as usize]).collect();
        (classes, labels)
    }
}

/// Sorts distinct labels: numerically if all are integers, else as text.
pub fn sorted_classes(mut classes: Vec<String>) -> Vec<String> {
    classes.sort();
    let numbers: std::result::Result<Vec<i64>, _> =
        classes.iter().map(|label| label.parse::<i64>()).collect();
    if let Ok(mut numbers) = numbers {
        // "01" and "1" are different labels, so they are sorted as text.
        let all_canonical = numbers.iter().zip(&classes).all(|(number, label)| number.to_string() == *label);
        if all_canonical {
            numbers.sort_unstable();
            return numbers.iter().map(i64::to_string).collect();
        }
    }
    classes
}

/// Converts `labels`, given as indexes into `texts`, to indexes into `classes`. `location` returns the location
/// of an example for the error.
///
/// # Errors
/// A label that is not in `classes`, with its location.
pub(crate) fn indexes_among(
    classes: &[String],
    texts: &[String],
    labels: impl Iterator<Item = usize>,
    location: impl Fn(usize) -> Location,
) -> Result<Vec<i64>> {
    let index = |text: &String| classes.iter().position(|class| class == text).map(|index| index as i64);
    let known: Vec<_> = texts.iter().map(index).collect();
    let index_of = |(at, label): (usize, usize)| {
        known[label].ok_or_else(|| {
            let problem =
                format!("unknown label {}; the classes are {}", quoted(&texts[label]), shortened(classes));
            Error::data(location(at), problem)
        })
    };
    labels.enumerate().map(index_of).collect()
}

/// The class names; only the first and last of more than 12.
pub(crate) fn shortened(classes: &[String]) -> String {
    match classes {
        [first, .., last] if classes.len() > 12 => {
            format!("{} … {} ({} classes)", excerpt(first), excerpt(last), classes.len())
        }
        _ => classes.iter().map(|class| excerpt(class)).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(labels: &[&str]) -> (Vec<String>, Vec<i64>) {
        let mut builder = LabelsBuilder::default();
        labels.iter().for_each(|label| builder.push(label));
        builder.finish()
    }

    #[test]
    fn classes_that_are_numbers_are_in_numeric_order() {
        assert_eq!(
            built(&["10", "9", "10", "-1"]),
            (["-1", "9", "10"].map(String::from).into(), vec![2, 1, 2, 0])
        );
        assert_eq!(built(&["b", "10", "9"]).0, ["10", "9", "b"]);
    }

    #[test]
    fn numbers_spelled_in_two_ways_stay_text() {
        assert_eq!(built(&["01", "1", "2"]).0, ["01", "1", "2"]);
    }
}
