//! The schema of a table: the types of its columns, in an editable TOML file.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::column::folded;
use crate::error::{Error, Location, Result, did_you_mean, quoted};
use crate::hashing::{MAX_ROWS, ROWS};
use crate::notation::DateOrder;

/// The declared types of the columns of a table. Columns without an entry have the type that is inferred.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// The entry of a column.
#[derive(Debug, Clone)]
struct Entry {
    name: String,
    location: Location,
    declared: Declared,
}

/// The type that a schema declares for a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declared {
    /// Numbers.
    Number,
    /// Categories.
    Category,
    /// Categories of any number, each given by its index: the users and items of a ranking, which no schema declares.
    Index,
    /// Categories that are hashed into this number of rows.
    Hash(usize),
    /// Categories in this order.
    Ordinal(Vec<String>),
    /// Booleans.
    Boolean,
    /// Dates, in this order of day, month and year, if it is given.
    Date(Option<DateOrder>),
    /// Lists, with this separator.
    List(char),
    /// Free text.
    Text,
    /// A column that is not used.
    Ignore,
}

impl Declared {
    /// Whether the cells are texts that are kept, and not numbers or hashed.
    pub fn is_text(&self) -> bool {
        !matches!(self, Declared::Number | Declared::Hash(_) | Declared::Ignore)
    }
}

/// The names of the types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TypeName {
    Number,
    Category,
    Ordinal,
    Boolean,
    Date,
    List,
    Text,
    Ignore,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    column: Vec<FileEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileEntry {
    name: Spanned<String>,
    r#type: Spanned<TypeName>,
    order: Option<Spanned<Vec<String>>>,
    date_order: Option<Spanned<DateOrder>>,
    separator: Option<Spanned<char>>,
    hash: Option<Spanned<usize>>,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// A file that cannot be read or is not a schema, with line and column.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::data(path, format!("cannot read the schema: {e}")))?;
        Schema::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|e| {
            let location = e.span().map_or(path.into(), |span| at(path, text, span.start));
            Error::data(location, format!("not a schema: {}", e.message().lines().next().unwrap_or_default()))
        })?;
        let mut first: HashMap<String, u64> = HashMap::new();
        let entry = |entry: FileEntry| {
            let location = at(path, text, entry.name.span().start);
            let name = entry.name.get_ref().clone();
            if let Some(line) = first.insert(name.clone(), location.line.unwrap_or_default()) {
                let problem = format!("the column {} has an entry in line {line} already", quoted(&name));
                return Err(Error::data(location, problem));
            }
            let declared = entry.declared(|offset| at(path, text, offset))?;
            Ok(Entry { name, location, declared })
        };
        let entries = file.column.into_iter().map(entry).collect::<Result<_>>()?;
        Ok(Schema { path: path.to_path_buf(), entries })
    }

    /// The type of each of the columns with these names.
    ///
    /// # Errors
    /// An entry for a column that does not exist, with its line.
    pub fn of_columns(&self, names: &[String]) -> Result<Vec<Option<Declared>>> {
        let mut found = vec![None; names.len()];
        for entry in &self.entries {
            let exact = names.iter().position(|name| *name == entry.name);
            let position =
                exact.or_else(|| names.iter().position(|name| folded(name) == folded(&entry.name)));
            let Some(position) = position else {
                let hint = did_you_mean(&entry.name, names.iter().map(String::as_str)).unwrap_or_default();
                let problem = format!("the table has no column {}{hint}", quoted(&entry.name));
                return Err(Error::data(entry.location.clone(), problem));
            };
            found[position] = Some(entry.declared.clone());
        }
        Ok(found)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl FileEntry {
    fn declared(self, at: impl Fn(usize) -> Location) -> Result<Declared> {
        let kind = *self.r#type.get_ref();
        let refuse = |offset: usize, problem: &str| Err(Error::data(at(offset), problem));
        if let Some(order) = &self.order
            && kind != TypeName::Ordinal
        {
            return refuse(order.span().start, "only the type ordinal has an order of categories");
        }
        if let Some(order) = &self.date_order
            && kind != TypeName::Date
        {
            return refuse(order.span().start, "only the type date has an order of day, month and year");
        }
        if let Some(separator) = &self.separator
            && kind != TypeName::List
        {
            return refuse(separator.span().start, "only the type list has a separator");
        }
        if let Some(rows) = &self.hash {
            if kind != TypeName::Category {
                return refuse(rows.span().start, "only the type category has a hash");
            }
            if !(2..=MAX_ROWS).contains(rows.get_ref()) {
                let problem = format!(
                    "hash is the number of rows that the categories are hashed into, from 2 to {MAX_ROWS}, such as {ROWS}"
                );
                return refuse(rows.span().start, &problem);
            }
        }
        Ok(match kind {
            TypeName::Number => Declared::Number,
            TypeName::Category => {
                self.hash.map_or(Declared::Category, |rows| Declared::Hash(rows.into_inner()))
            }
            TypeName::Boolean => Declared::Boolean,
            TypeName::Text => Declared::Text,
            TypeName::Ignore => Declared::Ignore,
            TypeName::Date => Declared::Date(self.date_order.map(Spanned::into_inner)),
            TypeName::List => Declared::List(self.separator.map_or('|', Spanned::into_inner)),
            TypeName::Ordinal => {
                let order = self.order.as_ref().map(Spanned::get_ref).filter(|order| order.len() > 1);
                let Some(order) = order else {
                    let problem = "the type ordinal needs its categories in their order, such as order = [\"low\", \"high\"]";
                    return refuse(self.r#type.span().start, problem);
                };
                Declared::Ordinal(order.clone())
            }
        })
    }
}

/// Line and column of an offset in a text.
fn at(path: &Path, text: &str, offset: usize) -> Location {
    let before = &text[..offset.min(text.len())];
    let line = 1 + before.matches('\n').count() as u64;
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    Location::line(path, line).column(column.to_string())
}

/// What is known about a column of a table.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ColumnSummary {
    /// The name in the header, or the number, from 1.
    pub name: String,
    /// The type, as in a schema: `number`, `category`, …, `ignore` for a column that is left out.
    pub kind: String,
    /// What becomes of the column.
    pub becomes: String,
    /// The share of missing values, from 0 to 1.
    pub missing: f64,
    /// The number of distinct values.
    pub distinct: usize,
    /// The first distinct values.
    pub examples: Vec<String>,
    /// Further entries of the schema: the separator of a list, the order of a date, the rows of a hash.
    #[serde(skip)]
    pub details: Vec<(&'static str, toml::Value)>,
}

/// The columns as an aligned table for a terminal.
pub fn to_text(columns: &[ColumnSummary]) -> String {
    let mut rows = vec![["column", "type", "missing", "distinct", "becomes", "examples"].map(String::from)];
    rows.extend(columns.iter().map(|column| {
        let missing = format!("{:.1} %", 100. * column.missing);
        let examples: Vec<_> = column.examples.iter().map(|text| quoted(text)).collect();
        let name = crate::terminal::line(&column.name).to_string();
        [
            name,
            column.kind.clone(),
            missing,
            column.distinct.to_string(),
            column.becomes.clone(),
            examples.join(", "),
        ]
    }));
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        text += &row[5];
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// The columns as an editable schema.
pub fn to_toml(table: &str, columns: &[ColumnSummary]) -> String {
    let table = crate::terminal::line(table);
    let mut text = format!(
        "# The input columns of {table}, for --schema. Types: number, category, ordinal (with order = [\"low\", \"high\"]),\n\
         # boolean, date (with date-order = \"year-first\", \"day-first\" or \"month-first\"), list (with separator = \"|\"),\n\
         # text, ignore. A category with hash = 1048576 is hashed into this number of rows. Columns without an entry have the type\n\
         # that is inferred.\n"
    );
    for column in columns {
        let string = |text: &str| toml::Value::String(text.to_string()).to_string();
        let examples: Vec<_> = column.examples.iter().map(|text| quoted(text)).collect();
        let _ = write!(
            text,
            "\n# {:.1} % missing, {} distinct values, such as {}\n[[column]]\nname = {}\ntype = {}\n",
            100. * column.missing,
            column.distinct,
            examples.join(", "),
            string(&column.name),
            string(&column.kind)
        );
        for (key, value) in &column.details {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Schema> {
        Schema::parse(Path::new("s.toml"), text)
    }

    fn problem(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_schema_declares_types_by_name() {
        let text = "[[column]]\nname = \"a\"\ntype = \"ordinal\"\norder = [\"low\", \"high\"]\n\n[[column]]\nname = \"B\"\ntype = \"ignore\"\n";
        let names = ["b", "c", "a"].map(String::from);
        let hashed = parse("[[column]]\nname = \"c\"\ntype = \"category\"\nhash = 1000\n").unwrap();
        assert_eq!(hashed.of_columns(&names).unwrap(), [None, Some(Declared::Hash(1000)), None]);
        let found = parse(text).unwrap().of_columns(&names).unwrap();
        let order = ["low", "high"].map(String::from).to_vec();
        assert_eq!(found, [Some(Declared::Ignore), None, Some(Declared::Ordinal(order))]);
    }

    #[test]
    fn faults_name_file_line_and_column() {
        let entry = |rest: &str| format!("[[column]]\nname = \"a\"\n{rest}");
        let error = problem(&entry("type = \"integer\"\n"));
        assert!(
            error.starts_with("s.toml, line 3, column 8: not a schema: unknown variant `integer`"),
            "{error}"
        );
        let error = problem(&entry("kind = \"number\"\n"));
        assert!(error.starts_with("s.toml, line 3, column 1: not a schema: unknown field `kind`"), "{error}");
        let error = problem(&entry("type = \"ordinal\"\n"));
        assert!(error.starts_with("s.toml, line 3, column 8: the type ordinal needs"), "{error}");
        let error = problem(&entry("type = \"text\"\nseparator = \"|\"\n"));
        assert!(
            error.starts_with("s.toml, line 4, column 13: only the type list has a separator"),
            "{error}"
        );
        let error = problem(&entry("type = \"number\"\nhash = 8\n"));
        assert!(error.starts_with("s.toml, line 4, column 8: only the type category has a hash"), "{error}");
        let error = problem(&entry("type = \"category\"\nhash = 1\n"));
        assert!(error.starts_with("s.toml, line 4, column 8: hash is the number of rows"), "{error}");
        let error = problem(&entry("type = \"category\"\nhash = 16777217\n"));
        assert!(error.contains("from 2 to 16777216, such as 1048576"), "{error}");
        let twice = entry("type = \"text\"\n") + &entry("type = \"text\"\n");
        assert!(
            problem(&twice).starts_with("s.toml, line 5, column 8: the column `a` has an entry in line 2")
        );
        assert!(problem("[[column]\n").starts_with("s.toml, line 1, column "));
        let error = parse(&entry("type = \"text\"\n")).unwrap().of_columns(&["ab".to_string()]).unwrap_err();
        assert!(
            error.to_string().starts_with("s.toml, line 2, column 8: the table has no column `a`"),
            "{error}"
        );
    }
}
