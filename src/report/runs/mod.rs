//! Lists the runs in a folder and compares two runs.

mod difference;
mod facts;
mod format;
mod listing;
mod predictions;
mod query;
mod table;

pub use difference::{Change, DataDifference, FigurePair, PartPair, RunDifference, difference};
pub use facts::{FIGURES, Facts, FoldsState, RunState, column_names, facts};
pub use listing::{Listing, list};
pub use predictions::{ModelComparison, ValidationPredictions};
pub use query::{Filter, Order, best_order};
pub use table::{DEFAULT_COLUMNS, cell, to_csv, to_json, to_table};
