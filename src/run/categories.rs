//! Restricts category columns to the categories in the training set; others become unknown.

use std::sync::Arc;

use crate::data::column::{ColumnKind, shown_category};
use crate::data::stored::{StoredRows, Survey};
use crate::data::{Dataset, InputShape, Inputs, Split};
use crate::error::{Result, quoted};

/// Maximum number of categories in the warning.
const SHOWN: usize = 5;

/// The dataset with only the categories of the training set, and the users and items that a table describes. Other categories become unknown: zeros in all features of
/// their column, or the index -1.
///
/// # Errors
/// Rows in a file that cannot be read.
pub(crate) fn of_training(dataset: Dataset, split: &Split) -> Result<Dataset> {
    let Some(mut table) = dataset.table.clone() else { return Ok(dataset) };
    if !matches!(dataset.inputs, Inputs::Floats(_) | Inputs::Stored(_)) {
        return Ok(dataset);
    }
    let has_categories =
        |kind: &ColumnKind| matches!(kind, ColumnKind::Category { .. } | ColumnKind::Code { .. });
    if !table.columns.iter().any(|column| has_categories(&column.kind)) {
        return Ok(dataset);
    }
    let cells = TrainingCells::of(&dataset, split, table.features())?;
    let (mut dropped, mut features, mut first) = (Vec::new(), Vec::new(), 0);
    for (index, column) in table.columns.iter_mut().enumerate() {
        let (name, count) = (quoted(&column.name), column.features());
        let kept = match &mut column.kind {
            ColumnKind::Category { categories, unknown } => {
                *unknown = true;
                let mut is_kept = vec![false; count];
                cells.of_column(index, first, count, &mut |features| {
                    is_kept.iter_mut().zip(features).for_each(|(is_kept, value)| *is_kept |= *value == 1.);
                });
                retain(categories, is_kept, &name, &mut dropped)
                    .into_iter()
                    .map(|new| if new.is_some() { Feature::Same } else { Feature::Dropped })
                    .collect()
            }
            ColumnKind::Code { categories, unknown } => {
                *unknown = true;
                let described = dataset.choices.tables.get(index).and_then(Option::as_ref);
                let is_described = |name: &String| described.is_some_and(|table| table.row(name).is_some());
                let mut is_kept: Vec<bool> = categories.iter().map(is_described).collect();
                cells.of_column(index, first, count, &mut |features| {
                    if features[0] >= 0. {
                        is_kept[features[0] as usize] = true;
                    }
                });
                vec![Feature::Index(retain(categories, is_kept, &name, &mut dropped))]
            }
            _ => vec![Feature::Same; count],
        };
        features.extend(kept);
        first += count;
    }
    if !dropped.is_empty() {
        warn(&dataset, &dropped);
    }
    let inputs = match dataset.inputs {
        inputs if dropped.is_empty() => inputs,
        Inputs::Stored(rows) => {
            Inputs::Stored(Arc::new(rows.changed(&|feature, value| features[feature].of(value))?))
        }
        Inputs::Floats(values) => {
            let cells = values.chunks_exact(features.len()).flat_map(|row| row.iter().zip(&features));
            Inputs::Floats(cells.filter_map(|(value, feature)| feature.of(*value)).collect())
        }
        other => other,
    };
    let shape = InputShape(vec![table.features() as i64]);
    Ok(Dataset { shape, table: Some(table), inputs, ..dataset })
}

/// The cells of the training rows.
enum TrainingCells<'a> {
    Memory(Vec<&'a [f32]>),
    Stored(&'a StoredRows, &'a Survey),
}

impl<'a> TrainingCells<'a> {
    fn of(dataset: &'a Dataset, split: &Split, width: usize) -> Result<Self> {
        Ok(match &dataset.inputs {
            Inputs::Floats(values) => {
                let of = |row: &i64| &values[*row as usize * width..][..width];
                TrainingCells::Memory(split.train.iter().map(of).collect())
            }
            Inputs::Stored(rows) => TrainingCells::Stored(rows, rows.survey(&split.train)?),
            Inputs::Bytes(_) | Inputs::Images(_) => TrainingCells::Memory(Vec::new()),
        })
    }

    /// Calls `work` with the features of each cell of a column, of different cells at least once.
    fn of_column(&self, index: usize, first: usize, count: usize, work: &mut dyn FnMut(&[f32])) {
        match self {
            TrainingCells::Memory(rows) => rows.iter().for_each(|row| work(&row[first..first + count])),
            TrainingCells::Stored(rows, survey) => rows.seen(survey, index).for_each(work),
        }
    }
}

/// What becomes of a feature.
#[derive(Clone)]
enum Feature {
    Same,
    Dropped,
    /// The new index of each category, if it is still one.
    Index(Vec<Option<usize>>),
}

impl Feature {
    fn of(&self, value: f32) -> Option<f32> {
        match self {
            Feature::Same => Some(value),
            Feature::Dropped => None,
            Feature::Index(new) if value >= 0. => Some(new[value as usize].map_or(-1., |index| index as f32)),
            Feature::Index(_) => Some(value),
        }
    }
}

/// Removes the categories of a column without the flag `is_kept`, adds their names to `dropped`, and returns the new index of each
/// category. A column that would become empty stays as it is.
fn retain(
    categories: &mut Vec<String>,
    is_kept: Vec<bool>,
    column: &str,
    dropped: &mut Vec<String>,
) -> Vec<Option<usize>> {
    if !is_kept.contains(&true) {
        return (0..categories.len()).map(Some).collect();
    }
    let mut count = 0;
    let new = is_kept.iter().map(|is_kept| {
        count += usize::from(*is_kept);
        is_kept.then(|| count - 1)
    });
    let new: Vec<_> = new.collect();
    let gone = categories.iter().zip(&is_kept).filter(|(_, is_kept)| !**is_kept);
    dropped.extend(gone.map(|(text, _)| format!("{} in column {column}", quoted(shown_category(text)))));
    let mut is_kept = is_kept.iter();
    categories.retain(|_| *is_kept.next().expect("one flag per category"));
    new
}

fn warn(dataset: &Dataset, dropped: &[String]) {
    let first: Vec<_> = dropped.iter().take(SHOWN).cloned().collect();
    let more = match dropped.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    tracing::warn!(
        "{}: {} category(s) do not occur in the training set and are treated as unknown: {}{more}",
        dataset.path.display(),
        dropped.len(),
        first.join(", ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::column::Column;
    use crate::data::image::Decoding;
    use crate::data::{Names, TableLayout};

    fn dataset(values: &[f32]) -> Dataset {
        let category = |texts: &[&str]| ColumnKind::Category {
            categories: texts.iter().map(|text| text.to_string()).collect(),
            unknown: false,
        };
        let column = |(position, kind)| Column {
            name: format!("c{position}"),
            position,
            kind,
            notation: Default::default(),
        };
        let kinds = [category(&["a", "b", "c"]), ColumnKind::Number, category(&["u"])];
        let columns = kinds.into_iter().enumerate().map(column).collect();
        let rows = values.len() / 5;
        Dataset {
            path: "a.csv".into(),
            sha256: String::new(),
            classes: vec!["x".into(), "y".into()],
            labels: vec![0; rows],
            targets: crate::data::Targets::Classes,
            shape: InputShape(vec![5]),
            range: None,
            decoding: Decoding::default(),
            texts: None,
            choices: Default::default(),
            inputs: Inputs::Floats(values.to_vec()),
            names: Names::Rows((0..rows as u64).collect()),
            table: Some(TableLayout { columns, width: 4, ..TableLayout::default() }),
            portions: None,
            groups: None,
        }
    }

    #[test]
    fn categories_that_are_missing_in_the_training_set_are_removed() {
        let values = [1., 0., 0., 5., 1., 0., 1., 0., 0., 1., 0., 0., 1., 7., 1.];
        let split = Split { train: vec![0, 2], validation: vec![1], test: vec![], folds: None };
        let found = of_training(dataset(&values), &split).unwrap();
        assert_eq!(found.shape, InputShape(vec![4]));
        let Inputs::Floats(kept) = &found.inputs else { panic!("they are values") };
        assert_eq!(kept[..], [1., 0., 5., 1., 0., 0., 0., 1., 0., 1., 7., 1.]);
        let table = found.table.unwrap();
        assert_eq!(table.feature_names(), ["c0=a", "c0=c", "c1", "c2=u"]);
        assert!(matches!(table.columns[2].kind, ColumnKind::Category { unknown: true, .. }));
    }

    #[test]
    fn a_column_that_is_missing_in_all_training_rows_stays() {
        let nan = f32::NAN;
        let values = [nan, nan, nan, 5., 1., 0., 1., 0., 0., 1.];
        let split = Split { train: vec![0], validation: vec![1], test: vec![], folds: None };
        assert_eq!(of_training(dataset(&values), &split).unwrap().shape, InputShape(vec![5]));
    }

    #[test]
    fn indexes_of_categories_are_those_of_the_training_set() {
        let mut data = dataset(&[0.; 5]);
        let categories = ["a", "b", "c"].map(String::from).to_vec();
        let table = data.table.as_mut().unwrap();
        table.columns.truncate(1);
        table.columns[0].kind = ColumnKind::Code { categories, unknown: false };
        data.inputs = Inputs::Floats(vec![2., 1., 0., f32::NAN, -1.]);
        let split = Split { train: vec![0, 2], validation: vec![1, 3, 4], test: vec![], folds: None };
        let found = of_training(data, &split).unwrap();
        let Inputs::Floats(values) = &found.inputs else { panic!("they are values") };
        assert_eq!(values[..3], [1., -1., 0.]);
        assert!(values[3].is_nan() && values[4] == -1.);
        let ColumnKind::Code { categories, unknown } = &found.table.unwrap().columns[0].kind else {
            panic!()
        };
        assert!(*categories == ["a", "c"] && *unknown);
    }
}
