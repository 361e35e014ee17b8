//! Restricts category columns to the categories in the training set; others become unknown.

use crate::data::column::ColumnKind;
use crate::data::{Dataset, InputShape, Inputs, Split, TableLayout};
use crate::error::quoted;

/// Maximum number of categories in the warning.
const SHOWN: usize = 5;

/// The dataset with only the categories of the training set. Other categories become unknown: zeros in all features of
/// their column.
pub(crate) fn of_training(dataset: Dataset, split: &Split) -> Dataset {
    let (Some(mut table), Inputs::Floats(values)) = (dataset.table.clone(), &dataset.inputs) else {
        return dataset;
    };
    if table.columns.iter().all(|column| column.kind == ColumnKind::Number) {
        return dataset;
    }
    let width = table.features();
    let mut is_kept = vec![false; width];
    for row in &split.train {
        let row = &values[*row as usize * width..][..width];
        row.iter().zip(&mut is_kept).for_each(|(value, is_kept)| *is_kept |= *value == 1.);
    }
    let dropped = drop_categories(&mut table, &mut is_kept);
    let inputs = if dropped.is_empty() {
        dataset.inputs
    } else {
        let first: Vec<_> = dropped.iter().take(SHOWN).cloned().collect();
        let more = if dropped.len() > SHOWN {
            format!(" (and {} more)", dropped.len() - SHOWN)
        } else {
            String::new()
        };
        tracing::warn!(
            "{}: {} category(s) do not occur in the training set and are treated as unknown: {}{more}",
            dataset.path.display(),
            dropped.len(),
            first.join(", ")
        );
        let kept = values.chunks_exact(width).flat_map(|row| row.iter().zip(&is_kept));
        Inputs::Floats(kept.filter(|(_, is_kept)| **is_kept).map(|(value, _)| *value).collect())
    };
    let shape = InputShape(vec![table.features() as i64]);
    Dataset { shape, table: Some(table), inputs, ..dataset }
}

/// Removes categories without the flag `is_kept` from the category columns, and returns their names. Numeric columns are
/// kept, and so is a column that would become empty.
fn drop_categories(table: &mut TableLayout, is_kept: &mut [bool]) -> Vec<String> {
    let (mut first, mut dropped) = (0, Vec::new());
    for column in &mut table.columns {
        let count = column.features();
        let is_kept = &mut is_kept[first..first + count];
        first += count;
        let ColumnKind::Category { categories, unknown } = &mut column.kind else {
            is_kept.fill(true);
            continue;
        };
        *unknown = true;
        if !is_kept.contains(&true) {
            is_kept.fill(true);
        }
        let gone = categories.iter().zip(&*is_kept).filter(|(_, is_kept)| !**is_kept);
        dropped.extend(gone.map(|(text, _)| format!("{} in column {}", quoted(text), quoted(&column.name))));
        let mut is_kept = is_kept.iter();
        categories.retain(|_| *is_kept.next().expect("one feature per category"));
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Names;
    use crate::data::column::Column;
    use crate::data::image::Decoding;

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
        let split = Split { train: vec![0, 2], validation: vec![1], test: vec![] };
        let found = of_training(dataset(&values), &split);
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
        let split = Split { train: vec![0], validation: vec![1], test: vec![] };
        assert_eq!(of_training(dataset(&values), &split).shape, InputShape(vec![5]));
    }
}
