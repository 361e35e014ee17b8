//! Lists the runs in a folder and compares two runs.

mod difference;
mod facts;
mod held_out;
mod listing;
mod query;
mod table;
mod words;

pub use difference::{Change, DataDifference, Difference, FigurePair, PartPair, difference};
pub use facts::{FIGURES, Facts, FoldsState, State, column_names, facts};
pub use held_out::{Compared, HeldOut};
pub use listing::{Listing, list};
pub use query::{Filter, Order, best_order};
pub use table::{DEFAULT_COLUMNS, cell, to_csv, to_json, to_table};
