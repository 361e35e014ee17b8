//! Labels as text become indexes into sorted classes.

use std::collections::HashMap;

/// Collects the labels of examples one by one, each text once.
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

    /// The classes in order ([`sorted_classes`]), and each example's index into them.
    pub fn finish(self) -> (Vec<String>, Vec<i64>) {
        let classes = sorted_classes(self.names.clone());
        let place: HashMap<&str, i64> =
            classes.iter().enumerate().map(|(index, class)| (class.as_str(), index as i64)).collect();
        let new_index: Vec<i64> = self.names.iter().map(|name| place[name.as_str()]).collect();
        let labels = self.indexes.iter().map(|index| new_index[*index as usize]).collect();
        (classes, labels)
    }
}

/// Different labels in numeric order if all are whole numbers, else in the order of the text.
pub fn sorted_classes(mut classes: Vec<String>) -> Vec<String> {
    classes.sort();
    let numbers: Result<Vec<i64>, _> = classes.iter().map(|label| label.parse::<i64>()).collect();
    if let Ok(mut numbers) = numbers {
        // "01" and "1" are two labels, so they stay text.
        let spelled_alike = numbers.iter().zip(&classes).all(|(number, label)| number.to_string() == *label);
        if spelled_alike {
            numbers.sort_unstable();
            return numbers.iter().map(i64::to_string).collect();
        }
    }
    classes
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
