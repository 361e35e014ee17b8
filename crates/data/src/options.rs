//! Options for reading data, shared by `train` and the `data` commands.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::format::FORMATS;
use super::room::Room;

/// Options for reading data.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct DataOptions {
    /// Data format
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = formats())]
    pub format: String,

    /// Label column of a table: `last`, `first`, a number from 1, or a name from the header
    #[arg(long, value_name = "COLUMN", default_value = "last")]
    pub label: ColumnChoice,

    /// Columns of a table to ignore, such as row numbers: names or numbers, separated by commas
    #[arg(long, value_name = "COLUMNS", value_parser = NonEmptyStringValueParser::new())]
    pub ignore: Option<String>,

    /// Handling of missing values in a table: report an error, drop the rows, or fill in the column's mean or
    /// median
    #[arg(long, value_name = "POLICY", default_value = "error")]
    pub missing: Missing,

    /// Group column of a table, such as patient or writer; all rows of a group are in the same subset of a
    /// split
    #[arg(long, value_name = "COLUMN")]
    pub group: Option<ColumnChoice>,

    /// List of examples to exclude, as written by `cresset data clean`
    #[arg(long, value_name = "FILE", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    pub exclude: Option<PathBuf>,

    /// Folder of the images named in a table of file names and labels [default: the table's folder and its
    /// subfolders]
    #[arg(long, value_name = "DIR", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    pub images: Option<PathBuf>,

    /// Memory layout of NumPy image arrays: (N, H, W, C) or (N, C, H, W) [default: inferred from the sizes]
    #[arg(long, value_name = "LAYOUT")]
    pub layout: Option<ArrayLayout>,

    /// Image size after resizing: `auto`, one number for both sides, or HEIGHTxWIDTH
    #[arg(long, value_name = "SIZE", default_value = "auto")]
    pub image_size: ImageSize,

    /// Maximum fraction of unreadable images; they are skipped with a warning, and more are an error
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = fraction, allow_negative_numbers = true)]
    pub max_bad_share: f64,

    /// Memory budget (GiB) for the values of a file [default: limited by the file's size on disk and the
    /// machine's memory]
    #[arg(long, value_name = "GIB", value_parser = positive, allow_negative_numbers = true)]
    pub max_memory: Option<f64>,
}

impl Default for DataOptions {
    fn default() -> Self {
        DataOptions {
            format: "auto".to_string(),
            label: ColumnChoice::Last,
            ignore: None,
            missing: Missing::Error,
            group: None,
            exclude: None,
            images: None,
            layout: None,
            image_size: ImageSize::Auto,
            max_bad_share: 0.01,
            max_memory: None,
        }
    }
}

impl DataOptions {
    /// The memory budget for the values of a file.
    pub fn room(&self) -> Room {
        Room(self.max_memory)
    }

    /// The options with a value, as (name, value), in the order of their definition.
    pub fn entries(&self) -> Vec<(&'static str, toml::Value)> {
        let DataOptions {
            format,
            label,
            ignore,
            missing,
            group,
            exclude,
            images,
            layout,
            image_size,
            max_bad_share,
            ..
        } = self;
        let mut entries: Vec<(_, toml::Value)> =
            vec![("format", format.clone().into()), ("label", label.to_string().into())];
        entries.extend(ignore.clone().map(|columns| ("ignore", columns.into())));
        entries.push(("missing", missing.to_string().into()));
        entries.extend(group.as_ref().map(|column| ("group", column.to_string().into())));
        entries.extend(exclude.as_ref().map(|file| ("exclude", file.to_string_lossy().into_owned().into())));
        entries
            .extend(images.as_ref().map(|folder| ("images", folder.to_string_lossy().into_owned().into())));
        entries.extend(layout.map(|layout| ("layout", layout.to_string().into())));
        entries.push(("image_size", image_size.to_string().into()));
        entries.push(("max_bad_share", (*max_bad_share).into()));
        entries.extend(self.max_memory.map(|gib| ("max_memory", gib.into())));
        entries
    }
}

fn formats() -> PossibleValuesParser {
    let auto = PossibleValue::new("auto").help("detect from the path");
    let named = FORMATS.iter().map(|format| PossibleValue::new(format.name()).help(format.summary()));
    PossibleValuesParser::new(std::iter::once(auto).chain(named))
}

fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0. ..=1.).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 1".to_string()),
    }
}

/// A column of a table, selected by the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnChoice {
    /// The first column.
    First,
    /// The last column.
    Last,
    /// A column by its number, from 1.
    Number(usize),
    /// A column by its name in the header.
    Name(String),
}

impl FromStr for ColumnChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("", _) => Err("expected a column name or number".to_string()),
            ("first", _) => Ok(ColumnChoice::First),
            ("last", _) => Ok(ColumnChoice::Last),
            (_, Ok(0)) => Err("columns are numbered from 1".to_string()),
            (_, Ok(number)) => Ok(ColumnChoice::Number(number)),
            _ => Ok(ColumnChoice::Name(text.to_string())),
        }
    }
}

impl std::fmt::Display for ColumnChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ColumnChoice::First => f.write_str("first"),
            ColumnChoice::Last => f.write_str("last"),
            ColumnChoice::Number(number) => write!(f, "{number}"),
            ColumnChoice::Name(name) => f.write_str(name),
        }
    }
}

/// How missing values in a table are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// A missing value is an error.
    Error,
    /// Rows with missing values are dropped.
    Drop,
    /// Missing values are replaced by the column's mean over the training set, inside the exported model too.
    Mean,
    /// Missing values are replaced by the column's median over the training set, inside the exported model
    /// too.
    Median,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value().expect("no policy is hidden");
        f.write_str(value.get_name())
    }
}

/// The memory layout of an array of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArrayLayout {
    /// Channels last: (N, height, width, channels).
    Nhwc,
    /// Channels first: (N, channels, height, width).
    Nchw,
}

impl std::fmt::Display for ArrayLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value().expect("no layout is hidden");
        f.write_str(value.get_name())
    }
}

/// The image size after resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSize {
    /// The original size if it is small and the same for all images, else 224 × 224.
    Auto,
    /// Height and width in pixels.
    Pixels(u32, u32),
}

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| match text.parse() {
            Ok(side @ 1..=4096) => Ok(side),
            _ => Err("expected `auto`, a number from 1 to 4096, or HEIGHTxWIDTH such as 240x320".to_string()),
        };
        match text.split_once('x') {
            _ if text == "auto" => Ok(ImageSize::Auto),
            Some((height, width)) => Ok(ImageSize::Pixels(side(height)?, side(width)?)),
            None => side(text).map(|side| ImageSize::Pixels(side, side)),
        }
    }
}

impl std::fmt::Display for ImageSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ImageSize::Auto => f.write_str("auto"),
            ImageSize::Pixels(height, width) => write!(f, "{height}x{width}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displayed_values_parse_back() {
        for text in ["first", "last", "3", "petal width"] {
            assert_eq!(text.parse::<ColumnChoice>().unwrap().to_string(), text);
        }
        for text in ["auto", "240x320"] {
            assert_eq!(text.parse::<ImageSize>().unwrap().to_string(), text);
        }
        assert_eq!("32".parse::<ImageSize>().unwrap(), ImageSize::Pixels(32, 32));
        assert!("0".parse::<ColumnChoice>().is_err() && "0x3".parse::<ImageSize>().is_err());
    }
}

/// Parses a number above 0.
fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0. => Ok(value),
        _ => Err("expected a number above 0".to_string()),
    }
}
