//! Texts without labels, of which a teacher tells the classes.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::column::TableLayout;
use crate::column_choice::ColumnChoice;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::format::csv::{Converted, Csv, read_column};
use crate::format::folder::files_of_class;
use crate::format::text_folder::is_text_file;
use crate::{hexadecimal, text};

/// Examples of texts without labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlabelledTexts {
    /// The texts of each example, one for each column of the layout that they were read for.
    pub examples: Vec<Vec<String>>,
    /// SHA-256 of the texts.
    pub sha256: String,
}

/// Reads texts without labels for data with this layout: the columns of a table that have the names of its columns, or, for a single
/// text, the `.txt` and `.eml` files of a folder and its subfolders.
///
/// # Errors
/// A file that cannot be read, a table without these columns, a folder without texts, and a folder for a layout of several texts.
pub fn read(path: &Path, layout: &TableLayout) -> Result<UnlabelledTexts> {
    let examples = match path.is_dir() {
        true => of_folder(path, layout)?,
        false if Csv.recognizes(path) || Converted.recognizes(path) => of_table(path, layout)?,
        false if !path.exists() => return Err(Error::data(path, "there is no such file or folder")),
        false => {
            let problem = "texts without labels are the rows of a table (CSV, TSV, JSON lines or Parquet), or a folder of .txt or \
                           .eml files";
            return Err(Error::data(path, problem));
        }
    };
    if examples.is_empty() {
        return Err(Error::data(path, "there are no texts"));
    }
    let mut hash = Sha256::new();
    for text in examples.iter().flatten() {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    Ok(UnlabelledTexts { examples, sha256: hexadecimal(&hash.finalize()) })
}

fn of_folder(path: &Path, layout: &TableLayout) -> Result<Vec<Vec<String>>> {
    if layout.columns.len() > 1 {
        let problem =
            format!("each example is {} texts, so they must be the columns of a table", layout.columns.len());
        return Err(Error::data(path, problem));
    }
    let mut files = files_of_class(path, &mut |file| is_text_file(file))?;
    files.sort();
    let read = |file: &std::path::PathBuf| {
        let bytes =
            fs::read(file).map_err(|e| Error::data(file.as_path(), format!("cannot read the text: {e}")))?;
        Ok(vec![text::of_file(&bytes).0])
    };
    files.iter().map(read).collect()
}

fn of_table(path: &Path, layout: &TableLayout) -> Result<Vec<Vec<String>>> {
    let mut examples: Vec<(u64, Vec<String>)> = Vec::new();
    for (place, column) in layout.columns.iter().enumerate() {
        let mut cells = read_column(path, &ColumnChoice::Name(column.name.clone()), u64::MAX)?.cells;
        if place == 0 {
            let mut lines: Vec<_> = cells.keys().copied().collect();
            lines.sort_unstable();
            // The first row is the header, in which the columns were found.
            examples = lines
                .into_iter()
                .skip(1)
                .map(|line| (line, Vec::with_capacity(layout.columns.len())))
                .collect();
        }
        for (line, texts) in &mut examples {
            texts.push(cells.remove(line).unwrap_or_default());
        }
    }
    Ok(examples.into_iter().map(|(_, texts)| texts).collect())
}

impl TableLayout {
    /// The features of an example of texts, one for each column: the ids of their tokens with padding, as float32.
    ///
    /// # Errors
    /// A text that a tokenizer cannot encode.
    ///
    /// # Panics
    /// If a column is not of texts.
    pub fn text_features<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<f32>> {
        let mut features = Vec::with_capacity(self.features());
        for (column, text) in self.columns.iter().zip(texts) {
            let crate::column::ColumnKind::Tokens { tokenization, length } = &column.kind else {
                panic!("column {} is not of texts", column.name)
            };
            tokenization.extend(text.as_ref(), *length, &mut features).map_err(Error::Usage)?;
        }
        Ok(features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Column, ColumnKind};
    use crate::notation::Notation;
    use crate::tokens::Tokenization;

    fn layout(names: &[&str]) -> TableLayout {
        let column = |(position, name): (usize, &&str)| Column {
            name: name.to_string(),
            position,
            kind: ColumnKind::Tokens { tokenization: Tokenization::default(), length: 3 },
            notation: Notation::Plain,
        };
        TableLayout { columns: names.iter().enumerate().map(column).collect(), ..TableLayout::default() }
    }

    #[test]
    fn the_columns_of_a_table_are_found_by_name_and_rows_keep_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("more.csv");
        fs::write(&table, "other,b,a\n1,\"second\n1\",first 1\n2,,first 2\n").unwrap();
        let read_for = |names| read(&table, &layout(names));
        let found = read_for(&["a", "b"]).unwrap();
        assert_eq!(found.examples, [["first 1", "second\n1"], ["first 2", ""]]);
        assert_ne!(found.sha256, read_for(&["a"]).unwrap().sha256);
        let problem = read_for(&["c"]).unwrap_err().to_string();
        assert!(problem.contains("more.csv") && problem.contains("`c`"), "{problem}");
        let lines = folder.path().join("more.jsonl");
        fs::write(&lines, "{\"a\": \"one\"}\n{\"a\": \"two\"}\n").unwrap();
        assert_eq!(read(&lines, &layout(&["a"])).unwrap().examples, [["one"], ["two"]]);
    }

    #[test]
    fn the_texts_of_a_folder_are_those_of_its_subfolders_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("sub")).unwrap();
        let problem = read(path, &layout(&["text"])).unwrap_err().to_string();
        assert!(problem.contains("there are no texts"), "{problem}");
        fs::write(path.join("b.txt"), "b").unwrap();
        fs::write(path.join("sub/a.txt"), "a").unwrap();
        fs::write(path.join("c.png"), "no text").unwrap();
        assert_eq!(read(path, &layout(&["text"])).unwrap().examples, [["b"], ["a"]]);
        let problem = read(path, &layout(&["a", "b"])).unwrap_err().to_string();
        assert!(problem.contains("each example is 2 texts"), "{problem}");
        let problem = read(&path.join("c.png"), &layout(&["a"])).unwrap_err().to_string();
        assert!(problem.contains("the rows of a table"), "{problem}");
    }

    #[test]
    fn features_are_the_ids_of_all_columns_with_padding() {
        let layout = layout(&["a", "b"]);
        let features = layout.text_features(&["x y", "z"]).unwrap();
        assert_eq!(features.len(), 6);
        assert!(features[0] > 1. && features[2] == 0. && features[3] > 1. && features[4..] == [0., 0.]);
    }
}
