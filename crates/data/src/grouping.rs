//! Groups of examples for comparing a model's metrics, from a column or a CSV file.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use cresset_options::{option, options, parse};

use super::format::csv::{is_missing, read_column};
use super::{Names, sorted_classes};
use crate::column_choice::ColumnChoice;
use crate::error::{Error, Location, Result, quoted};

options! {
    /// Which groups of examples are compared.
    pub struct GroupingOptions {
        /// Compare groups by this column of the table, which need not be an input of the model: text, or numbers, of which more
        /// than 20 different ones are split into quartiles
        pub group_by: Option<ColumnChoice> = option("COLUMN"),

        /// Compare groups from a CSV file with a header: the name of each example as in split.csv, and its group
        pub groups: Option<PathBuf> = option("FILE").not_empty().conflicts_with("group_by"),

        /// Minimum rows of a group for comparison; smaller groups are only listed
        pub least_group_rows: u64 = option("N").default("20").parser(parse::within(1..=u64::MAX)),
    }
}

/// The assignment of examples to groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// The name of the group column.
    pub by: String,
    /// The group names, in order.
    pub names: Vec<String>,
    /// The group of each example, as an index into `names`.
    pub of: Vec<usize>,
}

/// A numeric column with more distinct values is split into quartiles.
const MAX_NUMBERS: usize = 20;

/// A text column with more distinct values is probably an identifier or free text.
const MAX_TEXTS: usize = 100;

/// Name of the group of examples without a value.
const UNKNOWN: &str = "(not known)";

impl Grouping {
    /// Reads the groups of the examples called `names`, which come from `path`; `None` if no option is set.
    ///
    /// # Errors
    /// A missing column or one with too many different texts; a file that cannot be read or that names an
    /// unknown example.
    pub fn read(options: &GroupingOptions, path: &Path, names: &Names) -> Result<Option<Self>> {
        if let Some(column) = &options.group_by {
            return Grouping::from_column(column, path, names).map(Some);
        }
        options.groups.as_ref().map(|file| Grouping::from_file(file, path, names)).transpose()
    }

    fn from_column(choice: &ColumnChoice, path: &Path, names: &Names) -> Result<Self> {
        let lines = match names {
            Names::Lines { lines, .. } | Names::Listed { lines, .. } => lines.as_slice(),
            _ => &[],
        };
        if lines.len() != names.count() {
            let problem = format!(
                "--group-by {choice}: {} is not a table and has no columns; write the group of each example to a CSV file and use --groups",
                path.display()
            );
            return Err(Error::Usage(problem));
        }
        let mut column = read_column(path, choice, lines.first().copied().unwrap_or(0))?;
        let cells = lines.iter().map(|line| column.cells.remove(line).unwrap_or_default()).collect();
        let error = |problem| Error::data(Location::from(path).column(column.name.clone()), problem);
        Grouping::from_cells(column.name.clone(), cells).map_err(error)
    }

    fn from_file(file: &Path, path: &Path, names: &Names) -> Result<Self> {
        let error = |e: csv::Error| Error::data(file, format!("cannot read the groups: {e}"));
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file).map_err(error)?;
        let header = reader.headers().map_err(error)?;
        let [_, by] = header.iter().collect::<Vec<_>>()[..] else {
            let problem = "a group file needs a header and two columns: example name and group";
            return Err(Error::data(file, problem));
        };
        let by = by.to_string();
        let index_of = names.indexes();
        let mut cells = vec![String::new(); names.count()];
        for record in reader.records() {
            let record = record.map_err(error)?;
            let index = index_of.get(&record[0]).ok_or_else(|| {
                let line = record.position().map_or(1, csv::Position::line);
                let problem = format!("no example named {} in {}", quoted(&record[0]), path.display());
                Error::data(Location::line(file, line), problem)
            })?;
            cells[*index] = record[1].to_string();
        }
        Grouping::from_cells(by, cells).map_err(|problem| Error::data(file, problem))
    }

    fn from_cells(by: String, cells: Vec<String>) -> std::result::Result<Self, String> {
        let known = |cell: &&String| !is_missing(cell.as_bytes());
        let different: BTreeSet<&String> = cells.iter().filter(known).collect();
        let numbers =
            different.iter().map(|cell| cell.parse::<f64>().ok().filter(|number| number.is_finite()));
        let numbers: Option<Vec<f64>> = numbers.collect();
        let (names, group_of): (Vec<String>, HashMap<&String, usize>) = match numbers {
            Some(_) if different.len() > MAX_NUMBERS => quartiles(&cells),
            _ if different.len() > MAX_TEXTS => {
                return Err(format!(
                    "it has {} different texts, but at most {MAX_TEXTS} groups can be compared; merge some in a CSV file and use --groups",
                    different.len()
                ));
            }
            _ => {
                let names = sorted_classes(different.iter().map(|cell| cell.to_string()).collect());
                let index =
                    |cell: &&String| names.iter().position(|name| name == *cell).expect("each has a name");
                let of = different.iter().map(|cell| (*cell, index(cell))).collect();
                (names, of)
            }
        };
        let of: Vec<_> =
            cells.iter().map(|cell| group_of.get(cell).copied().unwrap_or(names.len())).collect();
        let has_unknown = of.contains(&names.len());
        let names = names.into_iter().chain(has_unknown.then(|| UNKNOWN.to_string())).collect();
        Ok(Grouping { by, names, of })
    }

    /// The grouping of a subset of examples, in the order of `indexes`.
    pub fn select(&self, indexes: impl IntoIterator<Item = usize>) -> Self {
        let of = indexes.into_iter().map(|index| self.of[index]).collect();
        Grouping { by: self.by.clone(), names: self.names.clone(), of }
    }

    /// The number of examples in each group.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.names.len()];
        self.of.iter().for_each(|group| counts[*group] += 1);
        counts
    }
}

/// Splits numbers into quartiles. Equal numbers are in the same group, so there may be fewer than four
/// groups.
fn quartiles(cells: &[String]) -> (Vec<String>, HashMap<&String, usize>) {
    let number = |cell: &String| cell.parse::<f64>().ok().filter(|number| number.is_finite());
    let mut sorted: Vec<f64> = cells.iter().filter_map(number).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut cuts: Vec<f64> = (1..4).map(|quarter| sorted[(quarter * sorted.len()).div_ceil(4) - 1]).collect();
    // A cut is the upper bound of its group, so a cut at the maximum would leave an empty group.
    cuts.retain(|cut| *cut < sorted[sorted.len() - 1]);
    cuts.dedup();
    let group = |number: f64| cuts.iter().filter(|cut| number > **cut).count();
    let name = |group: usize| match (group.checked_sub(1).map(|below| cuts[below]), cuts.get(group)) {
        (None, Some(high)) => format!("to {high}"),
        (Some(low), Some(high)) => format!("above {low} to {high}"),
        (Some(low), None) => format!("above {low}"),
        (None, None) => "all".to_string(),
    };
    let names = (0..=cuts.len()).map(name).collect();
    (names, cells.iter().filter_map(|cell| Some((cell, group(number(cell)?)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(cells: &[&str]) -> Grouping {
        Grouping::from_cells("c".into(), cells.iter().map(|cell| cell.to_string()).collect()).unwrap()
    }

    fn options(group_by: Option<&str>, groups: Option<PathBuf>) -> GroupingOptions {
        let group_by = group_by.map(|column| column.parse().unwrap());
        GroupingOptions { group_by, groups, least_group_rows: 20 }
    }

    #[test]
    fn few_values_are_groups_and_missing_values_are_another() {
        let grouping = of(&["m", "f", "", "m", "NA"]);
        assert_eq!(grouping.names, ["f", "m", "(not known)"]);
        assert_eq!((grouping.of.as_slice(), grouping.counts()), (&[1, 0, 2, 1, 2][..], vec![1, 2, 2]));
        assert_eq!(of(&["10", "9", "9"]).names, ["9", "10"]);
    }

    #[test]
    fn many_numbers_become_quartiles() {
        let cells: Vec<_> = (1..=40).map(|number| (f64::from(number) / 2.).to_string()).collect();
        let grouping = of(&cells.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(grouping.names, ["to 5", "above 5 to 10", "above 10 to 15", "above 15"]);
        assert_eq!(grouping.counts(), [10, 10, 10, 10]);
        assert_eq!((grouping.of[9], grouping.of[10]), (0, 1));
        // Half of them are equal.
        let cells: Vec<_> = (0..60).map(|number| if number < 30 { 0 } else { number }.to_string()).collect();
        let grouping = of(&cells.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(grouping.counts(), [30, 15, 15]);
    }

    #[test]
    fn too_many_texts_are_refused() {
        let cells: Vec<_> = (0..101).map(|number| format!("p{number}")).collect();
        let problem = Grouping::from_cells("c".into(), cells).unwrap_err();
        assert!(problem.contains("101 different texts"), "{problem}");
    }

    #[test]
    fn a_column_is_found_by_name_or_number_and_its_rows_by_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, "x,sex,y\n1,f,a\n\n2,\"m\",b\n3,f,b\n").unwrap();
        let names = Names::Lines { rows: vec![0, 2], lines: vec![2, 5] };
        for column in ["sex", "2"] {
            let grouping = Grouping::read(&options(Some(column), None), &path, &names).unwrap().unwrap();
            assert_eq!((grouping.by.as_str(), grouping.names.as_slice()), ("sex", &["f".to_string()][..]));
        }
        let fails = |column, names: &Names| {
            Grouping::read(&options(Some(column), None), &path, names).unwrap_err().to_string()
        };
        let text = fails("sexx", &names);
        assert!(text.contains("no column `sexx`; did you mean `sex`?"), "{text}");
        let text = fails("sex", &Names::Lines { rows: vec![0], lines: vec![1] });
        assert!(text.contains("the table has no header"), "{text}");
        let text = fails("sex", &Names::Rows(vec![0]));
        assert!(text.contains("is not a table") && text.contains("--groups"), "{text}");
    }

    #[test]
    fn a_file_of_groups_names_examples_as_split_csv_does() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("g.csv");
        let names = Names::Files(vec!["a/1.png".into(), "a/2.png".into(), "b/1.png".into()]);
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Grouping::read(&options(None, Some(file.clone())), Path::new("photos"), &names)
        };
        let grouping = read("example,camera\nb/1.png,old\na/1.png,new\n").unwrap().unwrap();
        assert_eq!((grouping.by.as_str(), grouping.of.as_slice()), ("camera", &[0, 2, 1][..]));
        let text = read("example,camera\na/1.png,new\na/7.png,new\n").unwrap_err().to_string();
        assert!(text.contains("g.csv, line 3: no example named `a/7.png` in photos"), "{text}");
        assert!(read("a/1.png\n").unwrap_err().to_string().contains("two columns"));
    }

    proptest! {
        #[test]
        fn every_example_is_in_one_group(cells in prop::collection::vec("[0-9]{0,3}|-?[0-9]{1,2}\\.[0-9]|inf", 0..80)) {
            let grouping = Grouping::from_cells("c".into(), cells.clone()).unwrap();
            prop_assert_eq!(grouping.of.len(), cells.len());
            prop_assert!(grouping.counts().iter().all(|count| *count > 0));
        }
    }
}
