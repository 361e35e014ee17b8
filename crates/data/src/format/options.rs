//! Options for reading data, shared by `train` and the `data` commands.

use std::path::PathBuf;
use std::str::FromStr;

use cresset_options::{Choice, Text, choices, option, options, parse};

use super::FORMATS;
use crate::column_choice::ColumnChoice;
use crate::error::Error;
use crate::image::{CENTER_CROPS, Decoding, Interpolation};
use crate::room::MemoryBudget;
use crate::targets::{TargetChoice, TaskKind};

/// The heading of these options in the help.
const DATA: &str = "Data";

options! {
    /// How data is read.
    pub struct DataOptions {
        /// Data format
        pub format: String = option("NAME").default("auto").choices(formats()).heading(DATA),

        /// Label column of a table: `last`, `first`, a number from 1, or a name in the header
        pub label: ColumnChoice = option("COLUMN").default("last").heading(DATA).essential(),

        /// Label columns of a table or image list that have 0 or 1 for each label of a row: names or numbers, separated by commas
        /// (multi-label)
        pub labels: Option<String> = option("COLUMNS").not_empty().heading(DATA),

        /// User column of a table of choices, such as clicks or ratings, one per row: with --item, trains a model that recommends items
        pub user: Option<ColumnChoice> = option("COLUMN").heading(DATA).essential(),

        /// Item column of a table of choices
        pub item: Option<ColumnChoice> = option("COLUMN").heading(DATA).essential(),

        /// Table of users, with a row for each and the user column of the choices: its other columns describe users, also new ones
        pub user_table: Option<PathBuf> = option("FILE").not_empty().heading(DATA),

        /// Table of items, with a row for each and the item column of the choices: its other columns describe items, also new ones
        pub item_table: Option<PathBuf> = option("FILE").not_empty().heading(DATA),

        /// Column of ratings, numbers, of a table of choices: only rows with a good rating are choices
        pub rating: Option<ColumnChoice> = option("COLUMN").heading(DATA),

        /// Least rating of a choice [default: the median of the ratings]
        pub min_rating: Option<f64> = option("RATING").heading(DATA),

        /// What to predict for each example [default: ranking with --user and --item, regression if --label selects a column of quantities, multilabel with
        /// --labels and if labels of an image list are combined, else classification]
        pub task: Option<TaskKind> = option("TASK").heading(DATA),

        /// Columns of a table to ignore, such as row IDs: names or numbers, separated by commas
        pub ignore: Option<String> = option("COLUMNS").not_empty().heading(DATA),

        /// Text columns of a table, for text models: one or two names or numbers, separated by a comma; other columns are not used
        /// [default: found if a table has no other inputs]
        pub text: Option<String> = option("COLUMNS").not_empty().heading(DATA),

        /// Tokenizer of texts with a vocabulary: `tokenizer.json` of Hugging Face, `vocab.txt` of BERT, or one that is trained on the
        /// training set: `wordpiece`, `wordpiece-cased` or `bpe` [default: hashed words, or `wordpiece` with --vocab-size]
        pub tokenizer: Option<PathBuf> = option("FILE|KIND").not_empty().heading(DATA),

        /// Maximum number of tokens of a vocabulary that is trained on the training set [default: 8000]
        pub vocab_size: Option<u32> = option("N").parser(parse::within(16..=1_000_000)).heading(DATA),

        /// Maximum number of tokens of a text; further ones are not used [default: the longest text, at most 1024, or the maximum of the tokenizer]
        pub max_length: Option<u32> = option("TOKENS").parser(parse::within(1..=65_536)).heading(DATA),

        /// Length of the longest character n-grams, which become tokens beside the words: for names and other short texts; 0: none
        pub char_ngrams: u32 = option("N").default("0").parser(parse::within(0..=8)).heading(DATA),

        /// How to handle missing values in a table
        pub missing: Missing = option("POLICY").default("value").heading(DATA),

        /// Schema of a table: the types of its columns, as `cresset data schema` writes them
        pub schema: Option<PathBuf> = option("FILE").not_empty().heading(DATA),

        /// Which types the columns of a table can have
        pub column_types: ColumnTypes = option("TYPES").default("all").heading(DATA),

        /// Columns of a table to use although they look like identifiers: names or numbers, separated by commas
        pub keep: Option<String> = option("COLUMNS").not_empty().heading(DATA),

        /// Group column of a table, such as a patient or a writer; a group is never split between training and validation
        pub group: Option<ColumnChoice> = option("COLUMN").heading(DATA),

        /// List of examples to exclude, as `cresset data clean` writes it
        pub exclude: Option<PathBuf> = option("FILE").not_empty().heading(DATA),

        /// Folder of the images that a table of file names and labels lists [default: the folder of the table and its
        /// subfolders]
        pub images: Option<PathBuf> = option("DIR").not_empty().heading(DATA),

        /// Layout of image arrays in NumPy files [default: inferred from the shape]
        pub layout: Option<ArrayLayout> = option("LAYOUT").heading(DATA),

        /// Resize images to this height and width: `auto` (their own size if it is small and the same for all, else 224x224),
        /// one number for both, or HEIGHTxWIDTH
        pub image_size: ImageSize = option("SIZE").default("auto").heading(DATA),

        /// Filter that resizes images, antialiased [default: that of the pretrained weights, else bilinear]
        pub interpolation: Option<Interpolation> = option("FILTER").heading(DATA),

        /// Side of the center crop of images, relative to the largest one [default: that of the pretrained weights, else 1]
        pub center_crop: Option<f64> = option("SHARE").parser(center_crop).heading(DATA),

        /// Maximum share of unreadable images, which are reported and skipped; more are an error
        pub max_bad_share: f64 = option("SHARE").default("0.01").parser(parse::from_0_to_1).heading(DATA),

        /// Memory limit in GiB for the decoded values of a file, above which a table is streamed [default: from the file size and
        /// the available memory]
        pub max_memory: Option<f64> = option("GIB").parser(parse::positive).heading(DATA),

        /// Whether training reads the rows of a table from a file in the cache instead of memory
        pub stream: Streaming = option("WHEN").default("auto").heading(DATA),
    }
}

impl DataOptions {
    /// How images with `depth` bits in use are decoded and resized.
    pub(crate) fn decoding(&self, depth: Option<u8>) -> Decoding {
        Decoding {
            depth,
            interpolation: self.interpolation.unwrap_or_default(),
            center_crop: self.center_crop.unwrap_or(1.),
        }
    }

    /// What was chosen to predict, also by `--labels`.
    ///
    /// # Errors
    /// `--labels` for another task.
    pub(crate) fn targets(&self) -> crate::error::Result<TargetChoice> {
        if let Some(ranking) = self.ranking()? {
            return Ok(ranking);
        }
        let task = match (self.task, &self.labels) {
            (None | Some(TaskKind::Multilabel), Some(_)) => Some(TaskKind::Multilabel),
            (Some(task), Some(_)) => {
                return Err(Error::Usage(format!(
                    "--labels selects the labels of multi-label classification, but --task is {}",
                    task.name()
                )));
            }
            (task, None) => task,
        };
        Ok(TargetChoice { task, is_selected: self.label != ColumnChoice::Last })
    }

    /// The choice of ranking, by `--user`, `--item` or `--task`.
    ///
    /// # Errors
    /// One of the options without the other, and options for other tasks.
    fn ranking(&self) -> crate::error::Result<Option<TargetChoice>> {
        let is_chosen = self.task == Some(TaskKind::Ranking);
        let of_choices = [
            ("--user-table", self.user_table.is_some()),
            ("--item-table", self.item_table.is_some()),
            ("--rating", self.rating.is_some()),
            ("--min-rating", self.min_rating.is_some()),
        ];
        if self.min_rating.is_some() && self.rating.is_none() {
            return Err(Error::Usage(
                "--min-rating needs a column of ratings; select it with --rating".to_string(),
            ));
        }
        if let (Some((name, _)), None) = (of_choices.into_iter().find(|(_, is_set)| *is_set), &self.user) {
            return Err(Error::Usage(format!(
                "{name} is for choices of items by users; select their columns with --user and --item"
            )));
        }
        let problem = match (&self.user, &self.item, self.task) {
            (None, None, _) if !is_chosen => return Ok(None),
            (Some(_), Some(_), Some(task)) if !is_chosen => {
                format!("--user and --item are for --task ranking, but --task is {}", task.name())
            }
            (Some(_), Some(_), _) => {
                let others = [
                    ("--label", self.label != ColumnChoice::Last),
                    ("--labels", self.labels.is_some()),
                    ("--text", self.text.is_some()),
                    ("--group", self.group.is_some()),
                ];
                let Some((other, _)) = others.into_iter().find(|(_, is_set)| *is_set) else {
                    return Ok(Some(TargetChoice { task: Some(TaskKind::Ranking), is_selected: false }));
                };
                format!(
                    "{other} is not for ranking, where each row is the choice of an item by a user; leave it out"
                )
            }
            _ => "a ranking needs both --user COLUMN and --item COLUMN".to_string(),
        };
        Err(Error::Usage(problem))
    }

    /// The memory budget for the values of a file.
    pub fn room(&self) -> MemoryBudget {
        MemoryBudget(self.max_memory)
    }
}

/// Parses the relative side of a center crop.
fn center_crop(text: &str) -> Result<f64, String> {
    let problem = || "expected a number from 0.1 to 1".to_string();
    text.parse().ok().filter(|share| CENTER_CROPS.contains(share)).ok_or_else(problem)
}

/// The formats, and `auto`.
fn formats() -> impl Iterator<Item = Choice> {
    let auto = Choice::new("auto", "detect the format from the path");
    std::iter::once(auto).chain(FORMATS.iter().map(|format| Choice::new(format.name(), format.summary())))
}

choices! {
    /// How missing values in a table are handled.
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum Missing {
        /// a missing value is a value of its own: a category of its own, or a number that is marked as missing, also in the
        /// exported model
        Value = "value",
        /// stop with an error at the first one
        Error = "error",
        /// drop the rows that have one
        Drop = "drop",
        /// impute the mean of the column over the training rows, also in the exported model
        Mean = "mean",
        /// impute the median of the column over the training rows, also in the exported model
        Median = "median",
    }
}

choices! {
    /// The types that the columns of a table can have.
    pub enum ColumnTypes {
        /// numbers, categories, booleans, dates, lists and free text; identifiers are left out
        All = "all",
        /// numbers, dates as numbers, and one-hot encoded categories, as in earlier versions
        Basic = "basic",
    }
}

choices! {
    /// When the rows of a table are streamed from a file.
    pub enum Streaming {
        /// if the table is estimated not to fit in memory
        Auto = "auto",
        /// always
        Always = "always",
        /// never
        Never = "never",
    }
}

choices! {
    /// Layout of an array of images.
    pub enum ArrayLayout {
        /// (N, height, width, channels)
        Nhwc = "nhwc",
        /// (N, channels, height, width)
        Nchw = "nchw",
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

impl Text for ImageSize {}

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
