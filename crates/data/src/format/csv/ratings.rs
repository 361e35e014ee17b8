//! Ratings of items by users, of which the good ones are choices.

use crate::Table;
use crate::error::{Error, Result, quoted};
use crate::format::options::DataOptions;
use crate::targets::number;

/// The rows of a table of choices with a good rating, and the rating that is good, if the options have a column of ratings: that of
/// `--min-rating`, or the median.
///
/// # Errors
/// A rating that is not a number, and ratings none of which is good.
pub(super) fn good(table: Table, options: &DataOptions) -> Result<(Table, Option<f32>)> {
    if options.rating.is_none() {
        return Ok((table, None));
    }
    let value = |(label, text): (usize, &String)| {
        number(text).ok_or_else(|| {
            let row = table.labels.iter().position(|other| *other as usize == label);
            let problem = format!("{} is not a rating; expected a number", quoted(text));
            Error::data(table.location(row.expect("every rating occurs in a row")), problem)
        })
    };
    let values = table.label_texts.iter().enumerate().map(value).collect::<Result<Vec<f32>>>()?;
    let ratings: Vec<f32> = table.labels.iter().map(|label| values[*label as usize]).collect();
    let least = options.min_rating.map_or_else(|| median(&ratings), |least| least as f32);
    let kept: Vec<usize> = (0..ratings.len()).filter(|row| ratings[*row] >= least).collect();
    let path = &table.path;
    if kept.is_empty() {
        let highest = ratings.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let problem = format!("no rating is at least {least} (--min-rating); the highest is {highest}");
        return Err(Error::data(path.as_path(), problem));
    }
    if options.min_rating.is_none() {
        tracing::warn!(
            "{}: the {} of {} ratings that are at least {least}, the median, are choices; set another with --min-rating",
            path.display(),
            kept.len(),
            ratings.len()
        );
    }
    Ok((table.select(&kept), Some(least)))
}

/// The median: at least half of the ratings are as good.
fn median(ratings: &[f32]) -> f32 {
    let mut sorted = ratings.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column_choice::ColumnChoice;
    use crate::{Dataset, Inputs, format};

    fn read(text: &str, min_rating: Option<f64>) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ratings.csv");
        std::fs::write(&path, text).unwrap();
        let column = |name: &str| Some(ColumnChoice::Name(name.to_string()));
        let (user, item, rating) = (column("user"), column("item"), column("rating"));
        format::read(&path, &DataOptions { user, item, rating, min_rating, ..DataOptions::default() })
    }

    #[test]
    fn ratings_from_the_median_on_are_choices_and_those_of_the_option() {
        let text = "user,rating,item\nu1,5,i1\nu1,2,i2\nu2,3.5,i1\nu2,4,i3\n";
        for (given, expected, items) in
            [(None, 4., vec![0., 2.]), (Some(3.), 3., vec![0., 0., 2.]), (Some(5.), 5., vec![0.])]
        {
            let found = read(text, given).unwrap();
            let Inputs::Floats(values) = &found.inputs else { panic!("a table has numbers") };
            assert_eq!(values.iter().skip(1).step_by(2).copied().collect::<Vec<f32>>(), items);
            assert_eq!((found.choices.min_rating, found.rows()), (Some(expected), items.len()));
            assert_eq!(found.location(found.rows() - 1).line, Some(if given == Some(5.) { 2 } else { 5 }));
        }
        let said = read(text, Some(6.)).unwrap_err().to_string();
        assert!(said.ends_with("no rating is at least 6 (--min-rating); the highest is 5"), "{said}");
    }

    #[test]
    fn a_rating_that_is_no_number_is_named_and_a_missing_one_is_dropped() {
        let said = read("user,item,rating\nu1,i1,4\nu1,i2,good\n", None).unwrap_err().to_string();
        assert!(said.ends_with("line 3: `good` is not a rating; expected a number"), "{said}");
        assert_eq!(read("user,item,rating\nu1,i1,4\nu1,i2,\nu1,i3,5\n", Some(1.)).unwrap().rows(), 2);
    }

    #[test]
    fn the_median_has_at_least_half_of_the_ratings_at_or_above_it() {
        assert_eq!([&[1f32, 2., 3.][..], &[4., 1., 2., 3.], &[5.]].map(median), [2., 3., 5.]);
    }
}
