//! Cresset trains classifiers on libtorch: raw files in, a trained, evaluated and exported TorchScript model out.
//!
//! A [`Trainer`] trains, evaluates and exports; a [`Classifier`] predicts with the exported model, which C++, Python and Java load as well.
//!
//! ```
//! use cresset::prelude::*;
//!
//! # fn main() -> Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! # image::GrayImage::new(8, 8).save(folder.join("digit.png")).unwrap();
//! let options = Config { epochs: 3, model: "cnn".into(), ..Config::default() };
//! let fitted = Trainer::new("digits").options(options).out(folder.join("run")).fit()?;
//! println!("validation accuracy {:.2} %", 100. * fitted.validation().accuracy());
//! fitted.export(folder.join("digits.pt"))?;
//!
//! let classifier = Classifier::load(folder.join("digits.pt"))?;
//! for prediction in classifier.predict(folder.join("digit.png"))? {
//!     println!("{}", prediction.predictions[0].class);
//! }
//! # assert!(fitted.validation().accuracy() > 0.5);
//! # Ok(())
//! # }
//! ```
//!
//! # Extending it
//!
//! Implement [`Model`](model::Model) for a custom model, [`Layer`](model::layer::Layer) for a building block of the architectures,
//! [`Format`](data::format::Format) for a data format, [`Augment`](loader::augment::Augment) for an augmentation and
//! [`Callback`](train::Callback) to follow or end training; a [`Metric`](evaluate::Metric) is a constant.
//!
//! # The stages
//!
//! The modules follow the data: [`data`] → [`loader`] → [`model`] → [`train`] (with [`distributed`]) → [`evaluate`] → [`export`] →
//! [`predict`]. [`options`] has everything that can be set, [`recipe`] chooses values that suit the data, [`run`] puts the stages together in a run folder, [`search`] looks for
//! better options, [`compress`] makes models smaller, [`feedback`] keeps corrections of predictions, and [`report`] shows runs.
//!
//! The library never prints and never exits: it returns values, reports progress to a [`Callback`](train::Callback) and logs by
//! `tracing`.

pub mod compress;
pub mod distributed;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod feedback;
pub mod loader;
pub mod model;
pub mod options;
pub mod predict;
pub mod prelude;
pub mod recipe;
pub mod report;
pub mod run;
pub mod search;
pub mod train;

pub use cresset_data as data;
pub use predict::Classifier;
pub use run::{Fitted, Trainer};
