//! How many words of texts are in no other text.

use std::collections::HashMap;

use crate::texts::Texts;
use crate::tokens::words;

/// The most examples that are counted.
const EXAMPLES: usize = 20_000;

impl Texts {
    /// The share of the words of a text, from 0 to 1, that are in the text of no other example, on average over these examples: a model
    /// learns nothing about other texts from them. Of many examples, the first ones are counted.
    pub fn rare_words(&self, examples: &[usize]) -> f64 {
        let examples = &examples[..examples.len().min(EXAMPLES)];
        let words = |example: usize| {
            self.of(example).into_iter().flat_map(|text| words(text.as_bytes())).map(|word| word.hash)
        };
        // The example of each word, unless it is in several ones.
        let mut only: HashMap<u32, Option<usize>> = HashMap::new();
        for example in examples {
            for word in words(*example) {
                only.entry(word)
                    .and_modify(|only| *only = only.filter(|only| only == example))
                    .or_insert(Some(*example));
            }
        }
        let share = |example: &usize| {
            let rare = words(*example).filter(|word| only[word].is_some()).count();
            let all = words(*example).count();
            (all > 0).then(|| rare as f64 / all as f64)
        };
        let shares: Vec<f64> = examples.iter().filter_map(share).collect();
        shares.iter().sum::<f64>() / shares.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::texts::ColumnTexts;

    #[test]
    fn words_of_a_single_example_are_rare() {
        let texts = ["Ann Ann", "Bob", "ann Smith", "Bob"].map(String::from).to_vec();
        let of_example = vec![Some(0), Some(1), Some(2), None, Some(3)];
        let texts = Texts { columns: vec![ColumnTexts { texts: Arc::new(texts), of_example, longer: 0 }] };
        assert_eq!(texts.rare_words(&[0, 1, 2, 3]), (0. + 1. + 0.5) / 3.);
        assert_eq!(texts.rare_words(&[0, 1, 2, 3, 4]), 0.5 / 4.);
        assert_eq!(texts.rare_words(&[0]), 1.);
        assert_eq!(texts.rare_words(&[3]), 0.);
    }
}
