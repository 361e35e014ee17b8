//! Classes that not every portion of the data has.

use super::{Dataset, Portion};
use crate::error::quoted;

/// Classes that a portion lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The portion.
    pub portion: Portion,
    /// The classes, each with the number of its examples elsewhere.
    pub classes: Vec<(String, usize)>,
}

/// The classes that shall be named.
const NAMED: usize = 5;

impl Lacking {
    /// The classes that each portion lacks, where the data comes in portions.
    pub fn of(dataset: &Dataset) -> Vec<Lacking> {
        let Some(portions) = &dataset.portions else { return Vec::new() };
        let mut counts = vec![[0; 3]; dataset.classes.len()];
        for (label, portion) in dataset.labels.iter().zip(portions) {
            counts[*label as usize][*portion as usize] += 1;
        }
        let lacking = |portion: Portion| {
            let is_present = portions.contains(&portion);
            // A class that cannot be learned need not be measured.
            let lacks = |counts: &&[usize; 3]| {
                let [train, ..] = **counts;
                is_present && counts[portion as usize] == 0 && (portion == Portion::Train || train > 0)
            };
            let classes = dataset.classes.iter().zip(&counts).filter(|(_, counts)| lacks(counts));
            let classes = classes.map(|(class, counts)| (class.clone(), counts.iter().sum())).collect();
            Lacking { portion, classes }
        };
        let all = [Portion::Train, Portion::Validation, Portion::Test].map(lacking);
        // Classes that none has, which a list left out, lack nothing.
        let known = |lacking: Lacking| {
            let classes = lacking.classes.into_iter().filter(|(_, count)| *count > 0).collect();
            Lacking { classes, ..lacking }
        };
        all.into_iter().map(known).filter(|lacking| !lacking.classes.is_empty()).collect()
    }

    /// What is wrong, in a sentence.
    pub fn sentence(&self) -> String {
        let (portion, consequence) = match self.portion {
            Portion::Train => {
                ("training", "the model cannot learn them, and each of these examples counts as a mistake")
            }
            Portion::Validation => ("validation", "the figures there say nothing of them"),
            Portion::Test => ("test", "the figures there say nothing of them"),
        };
        let count = self.classes.len();
        let named = self.classes.iter().take(NAMED).map(|(class, examples)| match self.portion {
            Portion::Train => format!("{} ({examples} elsewhere)", quoted(class)),
            _ => quoted(class),
        });
        let more = if count > NAMED { ", …" } else { "" };
        let classes = if count == 1 { "1 class has" } else { &format!("{count} classes have") };
        let named = named.collect::<Vec<_>>().join(", ");
        format!("{classes} no example in the {portion} portion, {named}{more}: {consequence}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InputShape, Inputs, Names};

    fn dataset(rows: &[(i64, Portion)]) -> Dataset {
        Dataset {
            path: "data".into(),
            sha256: String::new(),
            classes: ["bird", "cat", "dog"].map(String::from).into(),
            labels: rows.iter().map(|(label, _)| *label).collect(),
            shape: InputShape(vec![1]),
            range: None,
            inputs: Inputs::Bytes(vec![0; rows.len()]),
            names: Names::Rows((0..rows.len() as u64).collect()),
            table: None,
            portions: Some(rows.iter().map(|(_, portion)| *portion).collect()),
            groups: None,
            depth: None,
        }
    }

    #[test]
    fn classes_of_one_portion_alone_are_named() {
        use Portion::{Test, Train, Validation};
        let data = dataset(&[
            (1, Train),
            (2, Train),
            (1, Validation),
            (0, Validation),
            (0, Test),
            (1, Test),
            (2, Test),
        ]);
        let said: Vec<_> = Lacking::of(&data).iter().map(Lacking::sentence).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].starts_with("1 class has no example in the training portion, `bird` (2 elsewhere)"),
            "{said:?}"
        );
        assert!(said[1].starts_with("1 class has no example in the validation portion, `dog`"), "{said:?}");
        let all = dataset(&[(0, Train), (1, Train), (2, Train), (0, Test), (1, Test), (2, Test)]);
        assert_eq!(Lacking::of(&all), []);
        assert_eq!(Lacking::of(&Dataset { portions: None, ..dataset(&[(0, Train)]) }), []);
    }
}
