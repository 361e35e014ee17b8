//! How data is read: the options that `train` and the commands on data have in common.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::format::FORMATS;
use super::room::Room;

/// How data is read.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct DataOptions {
    /// Format of the data
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = formats())]
    pub format: String,

    /// Column of a table that holds the label: `last`, `first`, a number from 1, or a name of the header
    #[arg(long, value_name = "COLUMN", default_value = "last")]
    pub label: ColumnChoice,

    /// Columns of a table that are left out, such as numbers of rows: names or numbers, separated by commas
    #[arg(long, value_name = "COLUMNS", value_parser = NonEmptyStringValueParser::new())]
    pub ignore: Option<String>,

    /// What becomes of a table's missing values: refuse them, drop their rows, or fill in the column's mean or median
    #[arg(long, value_name = "POLICY", default_value = "error")]
    pub missing: Missing,

    /// Column of a table that names a row's group (a patient, a writer); a group is never on both sides of a split
    #[arg(long, value_name = "COLUMN")]
    pub group: Option<ColumnChoice>,

    /// List of examples to leave out, as `cresset data clean` writes it
    #[arg(long, value_name = "FILE", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    pub exclude: Option<PathBuf>,

    /// Folder of the images that a list (a table of file names and labels) names [default: that of the list, and those in it]
    #[arg(long, value_name = "DIR", value_parser = NonEmptyStringValueParser::new().map(PathBuf::from))]
    pub images: Option<PathBuf>,

    /// Where the channels stand in NumPy arrays of images: (N, H, W, C) or (N, C, H, W) [default: told by the sizes]
    #[arg(long, value_name = "LAYOUT")]
    pub layout: Option<ArrayLayout>,

    /// Height and width that pictures are brought to: `auto`, one number for both, or HEIGHTxWIDTH
    #[arg(long, value_name = "SIZE", default_value = "auto")]
    pub image_size: ImageSize,

    /// Share of the pictures that may turn out unreadable; each is named and left out, and more of them are an error
    #[arg(long, value_name = "SHARE", default_value = "0.01", value_parser = share, allow_negative_numbers = true)]
    pub max_bad_share: f64,

    /// The most memory (GiB) that the values of a file may take [default: what its bytes on the disk make plausible, and the machine has]
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
    /// What the values of a file may take.
    pub fn room(&self) -> Room {
        Room(self.max_memory)
    }

    /// The options that have a value, as (name, value), in the order of their definition.
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
    let auto = PossibleValue::new("auto").help("recognised from the path");
    let named = FORMATS.iter().map(|format| PossibleValue::new(format.name()).help(format.summary()));
    PossibleValuesParser::new(std::iter::once(auto).chain(named))
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0. ..=1.).contains(&value) => Ok(value),
        _ => Err("it is a number from 0 to 1".to_string()),
    }
}

/// A column of a table, as a user names it.
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
            ("", _) => Err("a column has a name or a number".to_string()),
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

/// What becomes of a table's missing values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The first one is an error.
    Error,
    /// Rows that lack a value are left out.
    Drop,
    /// The mean of the column over the training rows takes their place, inside the exported model too.
    Mean,
    /// The median of the column over the training rows takes their place, inside the exported model too.
    Median,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value().expect("no policy is hidden");
        f.write_str(value.get_name())
    }
}

/// Where the channels stand in an array of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArrayLayout {
    /// Last: (N, height, width, channels).
    Nhwc,
    /// Before height and width: (N, channels, height, width).
    Nchw,
}

impl std::fmt::Display for ArrayLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value().expect("no layout is hidden");
        f.write_str(value.get_name())
    }
}

/// The size that pictures are brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSize {
    /// The size of the pictures if they all have the same small one, else 224 × 224.
    Auto,
    /// Height and width in pixels.
    Pixels(u32, u32),
}

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| match text.parse() {
            Ok(side @ 1..=4096) => Ok(side),
            _ => Err("it is `auto`, a number from 1 to 4096, or two such as 240x320".to_string()),
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
    fn what_is_shown_is_read_back() {
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

/// A number above 0.
fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0. => Ok(value),
        _ => Err("it is a number above 0".to_string()),
    }
}
