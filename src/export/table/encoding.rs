//! How the cells of a column are encoded: what its TorchScript method has to know.

/// The TorchScript of a kind of column: methods, one of which encodes a cell. It has the signature `name(self, column: int, text:
/// str, values: List[float], at: int) -> str`, sets the features of the cell, which are zeros from `values[at]` on, and returns the
/// problem of a text that the column cannot have, or an empty string. A problem that begins with a space follows the quoted text. The
/// text has no surrounding white space and is not missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Methods {
    pub name: &'static str,
    pub source: &'static str,
}

/// The features of a missing value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// All NaN, or an error in a model that was trained without missing values.
    Unknown,
    /// Zeros.
    Zeros,
    /// One in the feature of this index, zeros in the others.
    Feature(usize),
}

impl Missing {
    /// The features of a missing value, by the index of its own category, if it has one.
    pub fn of_category(categories: &[String], or: Missing) -> Self {
        categories
            .iter()
            .position(|category| category == crate::data::column::MISSING)
            .map_or(or, Missing::Feature)
    }

    /// The number of this case in TorchScript.
    pub fn number(self, is_allowed: bool) -> i64 {
        match self {
            _ if !is_allowed => -3,
            Missing::Unknown => -2,
            Missing::Zeros => -1,
            Missing::Feature(index) => index as i64,
        }
    }
}

/// What the method of a column has to know.
pub(super) struct Encoding {
    /// The method.
    pub methods: Methods,
    /// The features of a missing value.
    pub missing: Missing,
    /// `self.options[column]`, whose meaning depends on the method.
    pub option: i64,
    /// `self.marks[column]`, likewise.
    pub mark: String,
    /// The texts of `self.indexes[column]`.
    pub texts: Vec<String>,
    /// `self.refusals[column]`: the end of the error for an unknown category; empty if it is allowed.
    pub refusal: String,
}

impl Encoding {
    /// The encoding by a method that has to know nothing else.
    pub fn of(methods: &Methods, missing: Missing) -> Self {
        Encoding {
            methods: *methods,
            missing,
            option: 0,
            mark: String::new(),
            texts: Vec::new(),
            refusal: String::new(),
        }
    }
}
