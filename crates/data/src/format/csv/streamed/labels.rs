//! The labels of a table while its rows are stored.

use std::path::Path;

use super::super::parse::Texts;
use crate::error::{Error, Location, Result, quoted};
use crate::targets::number;

/// More different labels have no texts, and must be numbers.
const MAX_LABELS: usize = 1 << 20;

/// The different labels.
#[derive(Default)]
pub(in crate::format::csv) struct StoredLabelTexts {
    texts: Texts,
    values: Vec<f32>,
    /// The line of the first row of each label.
    lines: Vec<u64>,
    /// Whether there are labels without a text.
    pub is_over: bool,
}

impl StoredLabelTexts {
    /// The stored values of a label of the row at this line: the number of its text, and its value; NaN for those that it has not.
    ///
    /// # Errors
    /// One label too many that is not a number.
    pub fn add(&mut self, label: &[u8], line: impl FnOnce() -> (u64, Location)) -> Result<(f32, f32)> {
        if let Some(known) = self.texts.known(label) {
            return Ok((known as f32, self.values[known as usize]));
        }
        let text = String::from_utf8_lossy(label);
        let value = number(&text);
        if self.texts.texts.len() == MAX_LABELS {
            self.is_over = true;
            return match value {
                Some(value) => Ok((f32::NAN, value)),
                None => {
                    let problem = format!(
                        "the label {} is one of more than {MAX_LABELS} different ones, which must be numbers in a table that is streamed; select the label column with --label",
                        quoted(&text)
                    );
                    Err(Error::data(line().1, problem))
                }
            };
        }
        let known = self.texts.number(label).expect("a label is UTF-8");
        self.values.push(value.unwrap_or(f32::NAN));
        self.lines.push(line().0);
        Ok((known as f32, self.values[known as usize]))
    }

    /// The two stored columns of the labels of rows, which are numbers of `texts`; `lines` has the line of each row.
    ///
    /// # Errors
    /// As for [`StoredLabelTexts::add`].
    pub fn columns(
        &mut self,
        path: &Path,
        labels: &[u32],
        texts: &[String],
        lines: &[u64],
    ) -> Result<[Vec<f32>; 2]> {
        // In the order of their first rows.
        let mut of_text: Vec<Option<(f32, f32)>> = vec![None; texts.len()];
        let (mut numbers, mut values) = (Vec::with_capacity(labels.len()), Vec::with_capacity(labels.len()));
        for (label, line) in labels.iter().zip(lines) {
            let (number, value) = match of_text[*label as usize] {
                Some(known) => known,
                None => {
                    let text = texts[*label as usize].as_bytes();
                    let added = self.add(text, || (*line, Location::line(path, *line)))?;
                    *of_text[*label as usize].insert(added)
                }
            };
            numbers.push(number);
            values.push(value);
        }
        Ok([numbers, values])
    }

    /// The texts, and the line of the first row of each.
    pub fn finish(self) -> (Vec<String>, Vec<u64>) {
        (self.texts.texts, self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_a_text_until_they_are_too_many() {
        let mut labels = StoredLabelTexts::default();
        let mut add = |text: &str, line: u64| {
            let at = || (line, Location::line(std::path::Path::new("a.csv"), line));
            labels.add(text.as_bytes(), at).map_err(|error| error.to_string())
        };
        let (number, value) = add("x", 2).unwrap();
        assert!(number == 0. && value.is_nan());
        (1..MAX_LABELS).for_each(|label| assert!(add(&label.to_string(), 3).is_ok()));
        assert_eq!(add("17", 4).unwrap(), (17., 17.));
        let (number, value) = add("-0.25", 5).unwrap();
        assert!(number.is_nan() && value == -0.25);
        let problem = add("y", 6).unwrap_err();
        assert!(problem.starts_with("a.csv, line 6: the label `y` is one of more than 1048576"), "{problem}");
        assert!(labels.is_over);
        assert_eq!(labels.finish().1[..3], [2, 3, 3]);
    }
}
