//! Classes without examples in one of the subsets.

use super::{Dataset, Subset, Targets};
use crate::error::quoted;

/// Classes without examples in a subset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingClasses {
    /// The subset.
    pub portion: Subset,
    /// The classes, each with its number of examples in the other subsets.
    pub classes: Vec<(String, usize)>,
}

/// The maximum number of classes in a message.
const MAX_NAMED: usize = 5;

impl MissingClasses {
    /// Finds the classes without examples in each subset, if the source defines subsets. None for other tasks.
    pub fn of(dataset: &Dataset) -> Vec<MissingClasses> {
        let Some(portions) = dataset.portions.as_ref().filter(|_| dataset.targets == Targets::Classes) else {
            return Vec::new();
        };
        let mut counts = vec![[0; 3]; dataset.classes.len()];
        for (label, portion) in dataset.labels.iter().zip(portions) {
            counts[*label as usize][*portion as usize] += 1;
        }
        let lacking = |portion: Subset| {
            let is_present = portions.contains(&portion);
            // A class without training examples is reported once, for the training set.
            let lacks = |counts: &&[usize; 3]| {
                let [train, ..] = **counts;
                is_present && counts[portion as usize] == 0 && (portion == Subset::Train || train > 0)
            };
            let classes = dataset.classes.iter().zip(&counts).filter(|(_, counts)| lacks(counts));
            let classes = classes.map(|(class, counts)| (class.clone(), counts.iter().sum())).collect();
            MissingClasses { portion, classes }
        };
        let all = [Subset::Train, Subset::Validation, Subset::Test].map(lacking);
        // Ignores classes without any examples, which `--exclude` may have removed.
        let known = |lacking: MissingClasses| {
            let classes = lacking.classes.into_iter().filter(|(_, count)| *count > 0).collect();
            MissingClasses { classes, ..lacking }
        };
        all.into_iter().map(known).filter(|lacking| !lacking.classes.is_empty()).collect()
    }

    /// The warning as a sentence.
    pub fn sentence(&self) -> String {
        let (portion, consequence) = match self.portion {
            Subset::Train => {
                ("training", "the model cannot learn them and misclassifies each of their examples")
            }
            Subset::Validation => ("validation", "validation metrics do not cover them"),
            Subset::Test => ("test", "test metrics do not cover them"),
        };
        let count = self.classes.len();
        let named = self.classes.iter().take(MAX_NAMED).map(|(class, examples)| match self.portion {
            Subset::Train => format!("{} ({examples} elsewhere)", quoted(class)),
            _ => quoted(class),
        });
        let more = if count > MAX_NAMED { ", …" } else { "" };
        let classes = if count == 1 { "1 class has" } else { &format!("{count} classes have") };
        let named = named.collect::<Vec<_>>().join(", ");
        format!("{classes} no example in the {portion} set, {named}{more}: {consequence}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Decoding;
    use crate::{InputShape, Inputs, Names};

    fn dataset(rows: &[(i64, Subset)]) -> Dataset {
        Dataset {
            path: "data".into(),
            sha256: String::new(),
            classes: ["bird", "cat", "dog"].map(String::from).into(),
            labels: rows.iter().map(|(label, _)| *label).collect(),
            targets: crate::Targets::Classes,
            shape: InputShape(vec![1]),
            range: None,
            inputs: Inputs::Bytes(vec![0; rows.len()]),
            names: Names::Rows((0..rows.len() as u64).collect()),
            table: None,
            portions: Some(rows.iter().map(|(_, portion)| *portion).collect()),
            groups: None,
            decoding: Decoding::default(),
            texts: None,
            choices: Default::default(),
        }
    }

    #[test]
    fn classes_missing_in_a_subset_are_named() {
        use Subset::{Test, Train, Validation};
        let data = dataset(&[
            (1, Train),
            (2, Train),
            (1, Validation),
            (0, Validation),
            (0, Test),
            (1, Test),
            (2, Test),
        ]);
        let sentences: Vec<_> = MissingClasses::of(&data).iter().map(MissingClasses::sentence).collect();
        assert_eq!(sentences.len(), 2, "{sentences:?}");
        assert!(
            sentences[0].starts_with("1 class has no example in the training set, `bird` (2 elsewhere)"),
            "{sentences:?}"
        );
        assert!(
            sentences[1].starts_with("1 class has no example in the validation set, `dog`"),
            "{sentences:?}"
        );
        let all = dataset(&[(0, Train), (1, Train), (2, Train), (0, Test), (1, Test), (2, Test)]);
        assert_eq!(MissingClasses::of(&all), []);
        assert_eq!(MissingClasses::of(&Dataset { portions: None, ..dataset(&[(0, Train)]) }), []);
    }
}
