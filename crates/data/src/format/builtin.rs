//! Built-in data sets, which `make data` downloads and which are known by name.

use std::path::PathBuf;

use super::{Format, csv};
use crate::error::{Error, Result};
use crate::{DataOptions, Dataset, InputShape, TaskKind, ValueRange};

/// A built-in data set.
#[derive(Debug)]
pub struct Builtin {
    /// The name, as an argument of `--data`.
    pub name: &'static str,
    /// The file name in the folder `data/`.
    pub file: &'static str,
    /// The kind of its examples.
    pub kind: ExampleKind,
}

/// The kind of examples of a built-in data set.
#[derive(Debug)]
pub enum ExampleKind {
    /// An image: channels, height and width, and the minimum and maximum of a pixel.
    Image([i64; 3], ValueRange),
    /// A row of a table with a header. The label is the last column.
    Row,
    /// A row of a table with a header. The number to predict is the last column.
    Quantity,
}

/// All built-in data sets; see `data/README.md` for their sources.
pub const DATASETS: &[Builtin] = &[
    Builtin {
        // Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI 1998: number of dark
        // pixels in 4×4 blocks.
        name: "digits",
        file: "digits.csv",
        kind: ExampleKind::Image([1, 8, 8], ValueRange { min: 0., max: 16. }),
    },
    Builtin { name: "iris", file: "iris.csv", kind: ExampleKind::Row },
    Builtin { name: "wine", file: "wine.csv", kind: ExampleKind::Row },
    Builtin { name: "breast-cancer", file: "breast-cancer.csv", kind: ExampleKind::Row },
    Builtin { name: "diabetes", file: "diabetes.csv", kind: ExampleKind::Quantity },
];

impl Builtin {
    /// Reads the data set from `data/` in the working directory, from `data/` in the checkout that the program was built
    /// in, or from `share/cresset/data/` beside the `bin/` that the program is installed in.
    pub fn load(&self, options: &DataOptions) -> Result<Dataset> {
        let path = self.path().ok_or_else(|| {
            let problem = "data set not found; download it with `make data` (or scripts/fetch-data)";
            Error::data(PathBuf::from("data").join(self.file).as_path(), problem)
        })?;
        let (shape, range) = match self.kind {
            ExampleKind::Image(shape, range) => (shape, range),
            ExampleKind::Row => return csv::Csv.read(&path, options)?.for_task(options.targets()?),
            ExampleKind::Quantity => {
                let task = options.task.or(Some(TaskKind::Regression));
                let options = DataOptions { task, ..options.clone() };
                return csv::Csv.read(&path, &options)?.for_task(options.targets()?);
            }
        };
        let table = csv::read(&path, options)?;
        let width = shape.iter().product::<i64>();
        if table.width() as i64 != width {
            let problem = format!(
                "a row has {} values before the label, but {} expects {width}",
                table.width(),
                self.name
            );
            return Err(Error::data(path.as_path(), problem));
        }
        table
            .into_dataset(InputShape(shape.to_vec()), Some(range), options.targets()?)?
            .for_task(options.targets()?)
    }

    /// The path of the file, if it exists.
    pub fn path(&self) -> Option<PathBuf> {
        let here = PathBuf::from("data").join(self.file);
        // target/release/cresset is three levels below the checkout; examples, tests and benchmarks are four.
        let program = std::env::current_exe().and_then(|p| p.canonicalize()).unwrap_or_default();
        let checkouts = program.ancestors().skip(3).take(2).map(|root| root.join("data").join(self.file));
        let prefix = program.ancestors().nth(2);
        let installed = prefix.map(|prefix| prefix.join("share/cresset/data").join(self.file));
        std::iter::once(here).chain(checkouts).chain(installed).find(|path| path.is_file())
    }
}
