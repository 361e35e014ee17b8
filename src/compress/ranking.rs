//! Compression of models of recommendations: their vectors in 16 or 8 bits.

use std::fs;
use std::path::{Path, PathBuf};

use tch::Device;

use super::{
    CompressOptions, Compressed, CompressionCallback, QuantizedDtype, TABLE, front, latency, to_csv,
};
use crate::data::{atomic, sha256};
use crate::error::{Error, Result};
use crate::evaluate::interval::score_interval;
use crate::evaluate::ranking::TOP;
use crate::export::ranking::write_int8;
use crate::export::{Compression, Variant};
use crate::model::Outputs;
use crate::predict::{Query, Recommender, exported};
use crate::run::{RankedRun, RunFolder};

/// Creates the requested models of a run of recommendations in the folder `out`.
pub(super) fn run(
    folder: &RunFolder,
    given: &CompressOptions,
    out: &Path,
    watch: &mut dyn CompressionCallback,
) -> Result<Vec<Compressed>> {
    let options = checked(given)?;
    let _writer = folder.lock()?;
    let run = RankedRun::open(folder, Device::Cpu)?;
    fs::create_dir(out).map_err(Error::io("create the folder", out))?;
    tch::set_num_threads(options.threads.count().into());
    let source = folder.model();
    let mut files = vec![("original".to_string(), source.clone())];
    if let Some(dtype) = options.dtype {
        watch.begins(dtype.name())?;
        let file = out.join(format!("{}.pt", dtype.name()));
        Variant { dtype, ..Variant::default() }.apply(exported(&source)?, Device::Cpu, &file)?;
        files.push((dtype.name().to_string(), file));
    }
    if let Some(QuantizedDtype::Int8) = options.quantize {
        watch.begins("int8")?;
        let bytes = fs::read(&source).map_err(Error::io("read", &source))?;
        let file = out.join("int8.pt");
        let compression = Compression { from_sha256: sha256(&bytes), ..Compression::default() };
        write_int8(exported(&source)?, compression, &file)?;
        files.push(("int8".to_string(), file));
    }
    let load = |(_, file): &(String, PathBuf)| Recommender::load(file, Device::Cpu);
    let recommenders = files.iter().map(load).collect::<Result<Vec<_>>>()?;
    let mut models = Vec::with_capacity(files.len());
    for ((name, file), recommender) in files.into_iter().zip(&recommenders) {
        models.push(evaluated(&run, recommender, name, file)?);
    }
    let one = latencies(&recommenders, 1)?;
    let many = latencies(&recommenders, 64)?;
    for ((model, one), many) in models.iter_mut().zip(one).zip(many) {
        (model.latency_1, model.latency_64) = (one, many);
    }
    front::mark(&mut models, options.max_loss / 100.);
    atomic::write(&out.join(TABLE), to_csv(&models).as_bytes())?;
    Ok(models)
}

/// The options, by default int8.
///
/// # Errors
/// Compressions of networks with layers.
fn checked(given: &CompressOptions) -> Result<CompressOptions> {
    let refused = [("--prune", !given.prune.is_empty()), ("--distill", given.distill.is_some())];
    if let Some((name, _)) = refused.into_iter().find(|(_, is_given)| *is_given) {
        let problem = "a model of recommendations has no layers, only vectors of users and items; use --quantize int8 or --dtype, or train with a smaller `width`";
        return Err(Error::Usage(format!("{name}: {problem}")));
    }
    let is_default = given.quantize.is_none() && given.dtype.is_none();
    let quantize = if is_default { Some(QuantizedDtype::Int8) } else { given.quantize };
    Ok(CompressOptions { quantize, ..given.clone() })
}

/// A model with its metrics, without latencies.
fn evaluated(run: &RankedRun, recommender: &Recommender, name: String, file: PathBuf) -> Result<Compressed> {
    let found = recommender.evaluate(&run.choices(&run.examples.split.validation)?)?;
    Ok(Compressed {
        name,
        bytes: fs::metadata(&file).map_err(Error::io("read", &file))?.len(),
        file,
        interval: score_interval(&found, &Outputs::Ranking),
        outputs: Outputs::Ranking,
        score: found.score(),
        parameters: recommender.values()?,
        latency_1: 0.,
        latency_64: 0.,
        is_on_front: false,
        is_chosen: false,
    })
}

/// The median time of recommendations of each model to this number of users, in microseconds.
fn latencies(recommenders: &[Recommender], users: i64) -> Result<Vec<f64>> {
    latency::medians(recommenders, |recommender| {
        let known = recommender.catalog().users().max(1) as i64;
        let query = |number: i64| Query { user: number % known, count: TOP, exclude: Vec::new() };
        recommender.answer(&(0..users).map(query).collect::<Vec<_>>()).map(drop)
    })
}
