//! Cresset trains classifiers on libtorch: raw files in, a trained, evaluated and exported TorchScript model out.
//!
//! The modules stand in the order of the data's way:
//! [`config`] → [`data`] → [`transform`] → [`feed`] → [`model`] → [`train`] → [`evaluate`] → [`export`] → [`predict`], [`explain`].
//! [`compress`] makes what came of it smaller, [`tune`] looks for better options, and [`compare`] puts runs side by side.
//! [`report`] and [`tensorboard`] show a run. [`serve`] answers over HTTP, [`feedback`] keeps what it is corrected in, and
//! [`fine_tune`] learns from that.
//! [`pipeline`] runs that way from end to end, in a [`run`] folder. The library never prints and never exits: it returns
//! values, and reports progress to a [`train::Callback`].
//!
//! ```no_run
//! use cresset::{config::Config, distributed::World, pipeline, train::Silent};
//!
//! let config = Config { epochs: 3, ..Config::default() };
//! let run = pipeline::start(&config, None, &World::alone())?;
//! let outcome = pipeline::finish(run, &mut Silent, &|| false)?;
//! # Ok::<(), cresset::error::Error>(())
//! ```

pub mod audit;
pub mod card;
pub mod compare;
pub mod compress;
pub mod config;
pub mod data;
pub mod date;
pub mod device;
pub mod distributed;
pub mod doctor;
pub mod error;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod feed;
pub mod feedback;
pub mod fine_tune;
mod html;
pub mod model;
pub mod numbers;
pub mod options;
pub mod parallel;
pub mod pipeline;
pub mod predict;
mod proto;
pub mod random;
pub mod report;
pub mod run;
pub mod serve;
pub mod tensorboard;
pub mod terminal;
pub mod train;
pub mod transform;
pub mod tune;
pub mod weights;
