//! Data sets that `make train` fetches and that are known by name.

use std::path::PathBuf;

use super::format::csv;
use super::{Dataset, InputShape, ValueRange};
use crate::error::{Error, Result};

/// A data set that is known by name.
#[derive(Debug)]
pub struct Builtin {
    /// Its name, as `--data` takes it.
    pub name: &'static str,
    /// Its file in the folder `data/`.
    pub file: &'static str,
    /// Channels, height and width of an example.
    pub shape: [i64; 3],
    /// The least and the greatest value an input may have.
    pub range: ValueRange,
}

/// All of them.
pub const DATASETS: &[Builtin] = &[Builtin {
    // Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI 1998: counts of ink in 4×4 blocks.
    name: "digits",
    file: "digits.csv",
    shape: [1, 8, 8],
    range: ValueRange { min: 0., max: 16. },
}];

impl Builtin {
    /// Reads the data set from `data/` in the working folder, or from the `data/` of the checkout that the program was
    /// built in.
    pub fn load(&self) -> Result<Dataset> {
        let path = self.path().ok_or_else(|| {
            let problem = "the data set was not found; fetch it with `make data` (or scripts/fetch-data)";
            Error::data(PathBuf::from("data").join(self.file).as_path(), problem)
        })?;
        let table = csv::read(&path)?;
        let width = self.shape.iter().product::<i64>();
        if table.width() as i64 != width {
            let problem =
                format!("a row has {} values before the label, but {} has {width}", table.width(), self.name);
            return Err(Error::data(path.as_path(), problem));
        }
        table.into_dataset(InputShape(self.shape.to_vec()), Some(self.range))
    }

    /// Where the file is, if it is anywhere.
    pub fn path(&self) -> Option<PathBuf> {
        let here = PathBuf::from("data").join(self.file);
        // target/release/cresset stands three levels below the checkout.
        let program = std::env::current_exe().and_then(|p| p.canonicalize()).unwrap_or_default();
        let checkout = program.ancestors().nth(3).map(|root| root.join("data").join(self.file));
        std::iter::once(here).chain(checkout).find(|path| path.is_file())
    }
}
