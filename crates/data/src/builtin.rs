//! Data sets that `make train` fetches and that are known by name.

use std::path::PathBuf;

use super::format::{Format, csv};
use super::{DataOptions, Dataset, InputShape, ValueRange};
use crate::error::{Error, Result};

/// A data set that is known by name.
#[derive(Debug)]
pub struct Builtin {
    /// Its name, as `--data` takes it.
    pub name: &'static str,
    /// Its file in the folder `data/`.
    pub file: &'static str,
    /// What an example is.
    pub kind: Kind,
}

/// What an example of a built-in data set is.
#[derive(Debug)]
pub enum Kind {
    /// A picture: channels, height and width, and the least and the greatest value of a pixel.
    Picture([i64; 3], ValueRange),
    /// A row of a table with a header, and the label last.
    Row,
}

/// All of them; `data/README.md` has their origins.
pub const DATASETS: &[Builtin] = &[
    Builtin {
        // Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI 1998: counts of ink in 4×4 blocks.
        name: "digits",
        file: "digits.csv",
        kind: Kind::Picture([1, 8, 8], ValueRange { min: 0., max: 16. }),
    },
    Builtin { name: "iris", file: "iris.csv", kind: Kind::Row },
    Builtin { name: "wine", file: "wine.csv", kind: Kind::Row },
    Builtin { name: "breast-cancer", file: "breast-cancer.csv", kind: Kind::Row },
];

impl Builtin {
    /// Reads the data set from `data/` in the working folder, or from the `data/` of the checkout that the program was
    /// built in.
    pub fn load(&self, options: &DataOptions) -> Result<Dataset> {
        let path = self.path().ok_or_else(|| {
            let problem = "the data set was not found; fetch it with `make data` (or scripts/fetch-data)";
            Error::data(PathBuf::from("data").join(self.file).as_path(), problem)
        })?;
        let Kind::Picture(shape, range) = self.kind else {
            return csv::Csv.read(&path, options);
        };
        let table = csv::read(&path, options)?;
        let width = shape.iter().product::<i64>();
        if table.width() as i64 != width {
            let problem =
                format!("a row has {} values before the label, but {} has {width}", table.width(), self.name);
            return Err(Error::data(path.as_path(), problem));
        }
        table.into_dataset(InputShape(shape.to_vec()), Some(range))
    }

    /// Where the file is, if it is anywhere.
    pub fn path(&self) -> Option<PathBuf> {
        let here = PathBuf::from("data").join(self.file);
        // target/release/cresset is three levels below the checkout; examples, tests and benchmarks are four.
        let program = std::env::current_exe().and_then(|p| p.canonicalize()).unwrap_or_default();
        let checkouts = program.ancestors().skip(3).take(2).map(|root| root.join("data").join(self.file));
        std::iter::once(here).chain(checkouts).find(|path| path.is_file())
    }
}
