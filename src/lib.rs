//! Cresset trains classifiers on libtorch: raw files in, a trained, evaluated and exported TorchScript model out.
//!
//! The modules follow the data: [`data`] → [`loader`] → [`model`] → [`train`] (with [`distributed`]) → [`evaluate`] → [`export`] →
//! [`predict`]. [`options`] has everything that can be set, [`run`] goes the whole way in a run folder, [`search`] looks for better
//! options, [`compress`] makes models smaller, [`feedback`] keeps corrections of predictions, and [`report`] shows runs. The library never prints and never exits: it returns values, and reports progress to a [`train::Callback`].
//!
//! ```no_run
//! use cresset::{options::Config, distributed::World, run, train::Silent};
//!
//! let config = Config { epochs: 3, ..Config::default() };
//! let run = run::start(&config, None, &World::alone())?;
//! let outcome = run::finish(run, &mut Silent, &|| false)?;
//! # Ok::<(), cresset::error::Error>(())
//! ```

pub mod compress;
pub mod distributed;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod feedback;
pub mod loader;
pub mod model;
pub mod number_options;
pub mod options;
pub mod predict;
pub mod report;
pub mod run;
pub mod search;
pub mod train;

pub use cresset_data as data;
