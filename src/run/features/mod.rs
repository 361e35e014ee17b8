//! Features: the inputs of the last layer of a network, computed once for each example and cached on disk.

mod cache;
mod partial;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use super::Prepared;
use crate::data::{Dataset, Inputs, hexadecimal};
use crate::error::{Error, Result};
use crate::loader::{Batch, EncodedExamples, EvaluationLoader, MemoryExamples, Pass, StreamEvaluationLoader};
use crate::model::preprocessing::{Preprocessing, TensorDataset};
use crate::model::weights::safetensors;
use crate::model::{Backbone, Network};
use crate::options::Config;
use crate::train::head::LabeledFeatures;
use cache::Cache;
use partial::{Partial, Record};

/// Features of examples of a data set.
#[derive(Debug)]
pub struct Features {
    /// Float32 (N, width), on the CPU.
    pub values: Tensor,
    /// Classes, int64 (N).
    pub labels: Tensor,
    /// The row of each example in the data set, int64 (N): the examples that can be read, in order.
    pub rows: Tensor,
    /// Where they come from.
    pub origin: Origin,
}

/// Where features come from, and how long it took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Origin {
    /// Whether they were read from the cache.
    pub is_cached: bool,
    /// Number of examples whose features an interrupted process had computed.
    pub resumed: i64,
    /// Duration in seconds.
    pub seconds: f64,
}

/// Examples, and the network that computes their features.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub dataset: &'a Dataset,
    pub preprocessing: &'a Preprocessing,
    pub network: &'a Network,
    pub device: Device,
    /// The number of CPU threads of libtorch.
    pub threads: u16,
}

impl<'a> Subject<'a> {
    /// The examples of a run, and another network than its own.
    pub fn new(prepared: &'a Prepared, network: &'a Network) -> Self {
        let Prepared { dataset, preprocessing, device, threads, .. } = prepared;
        Subject { dataset, preprocessing, network, device: *device, threads: *threads }
    }
}

/// Examples of a chunk that is preprocessed at once.
const CHUNK: usize = 64;

/// Changes with everything that affects the bits of features and is not in [`key`].
const VERSION: &str = concat!("1 ", env!("CARGO_PKG_VERSION"));

impl Features {
    /// The features of all examples of a run, in evaluation mode and without augmentation. They are read from the cache, or computed
    /// and written to it. `None` if `stop`, which is asked after each batch, returned true before they were complete. Even then, and in
    /// a process that is killed, the batches so far are kept, and the next call continues after them with the same result.
    ///
    /// # Errors
    /// A model whose last layer is not fully connected, and more unreadable images than allowed.
    pub fn of(prepared: &Prepared, config: &Config, stop: &dyn Fn() -> bool) -> Result<Option<Self>> {
        Features::of_subject(Subject::new(prepared, &prepared.network), config, stop)
    }

    /// Like [`Features::of`], for examples without a split.
    pub(crate) fn of_subject(
        subject: Subject,
        config: &Config,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Self>> {
        let found = cached(subject, "", |collected| plain(subject, config, collected, stop))?;
        let Some(found) = found else { return Ok(None) };
        // Features do not depend on labels, which may have been corrected since.
        let rows = Vec::<i64>::try_from(&found.rows)?;
        let labels: Vec<i64> = rows.iter().map(|row| subject.dataset.labels[*row as usize]).collect();
        Ok(Some(Features { labels: Tensor::from_slice(&labels), ..found }))
    }

    /// Features of the training set under augmentation, in the order in which the epochs 1 to `views` would train on it. The rows are
    /// empty.
    ///
    /// # Errors
    /// As [`Features::of`].
    pub(crate) fn augmented(
        prepared: &Prepared,
        network: &Network,
        config: &Config,
        views: u32,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Self>> {
        let Config { augment, seed, sampling, .. } = config;
        let Prepared { dataset, split, .. } = prepared;
        let what = format!("{augment} {seed} {sampling} {views} {:?} {:?}", split.train, dataset.labels);
        cached(Subject::new(prepared, network), &what, |collected| {
            augmented(prepared, (views, config.seed), collected, stop)
        })
    }

    /// The features of the examples at `rows` of the data set, without those that could not be read.
    pub(crate) fn select(&self, rows: &[i64]) -> Result<LabeledFeatures> {
        let known = Vec::<i64>::try_from(&self.rows)?;
        let places = rows.iter().filter_map(|row| Some(known.binary_search(row).ok()? as i64));
        let places = Tensor::from_slice(&places.collect::<Vec<_>>());
        Ok(LabeledFeatures {
            values: self.values.index_select(0, &places),
            labels: self.labels.index_select(0, &places),
        })
    }
}

/// The features of all examples, without augmentation.
fn plain(
    subject: Subject,
    config: &Config,
    collected: &mut Collected,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Features>> {
    let Subject { dataset, preprocessing, device, .. } = subject;
    let (pass, start) = collected.position();
    let all: Vec<i64> = (0..dataset.rows() as i64).collect();
    let rows = &all[start.min(all.len())..];
    let gallery = EncodedExamples::of(dataset, config.threads.count().into(), config.reading.max_bad_share);
    let Some(gallery) = gallery else {
        for chunk in rows.chunks(CHUNK) {
            if stop() {
                return Ok(None);
            }
            let feed = MemoryExamples::raw(TensorDataset::of(dataset, chunk, device), preprocessing);
            let end = chunk.last().map_or(0, |last| *last as usize + 1);
            feed.in_order().try_for_each(|batch| collected.add(&batch?, (pass, end), chunk.to_vec()))?;
        }
        return collected.features().map(Some);
    };
    report_unreadable(&gallery, &all[..start.min(all.len())], collected)?;
    let loader = StreamEvaluationLoader::new(&gallery, rows, Some(preprocessing), device);
    let mut done = 0;
    for batch in loader.in_order() {
        if stop() {
            return Ok(None);
        }
        let batch = batch?;
        let kept = (done..batch.end).filter(|index| !loader.is_unreadable(*index)).map(|index| rows[index]);
        collected.add(&batch, (pass, start + batch.end), kept.collect())?;
        done = batch.end;
    }
    collected.features().map(Some)
}

/// The features of so many augmented views of the training set.
fn augmented(
    prepared: &Prepared,
    (views, seed): (u32, u64),
    collected: &mut Collected,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Features>> {
    let (first, position) = collected.position();
    for view in first..=views {
        let start = if view == first { position } else { 0 };
        for batch in prepared.train.epoch(Pass { start, ..Pass::new(view, CHUNK as u32, seed) }) {
            if stop() {
                return Ok(None);
            }
            let batch = batch?;
            collected.add(&batch, (view, batch.end), Vec::new())?;
        }
    }
    collected.features().map(Some)
}

/// Reports the images at `rows`, for which an interrupted process has computed features, that it could not read.
fn report_unreadable(gallery: &Arc<EncodedExamples>, rows: &[i64], collected: &Collected) -> Result<()> {
    let known: BTreeSet<i64> =
        collected.records.iter().flat_map(|record| record.rows.iter().copied()).collect();
    let missing: Vec<i64> = rows.iter().copied().filter(|row| !known.contains(row)).collect();
    for (row, decoded) in missing.iter().zip(gallery.center_crops(&missing)) {
        if let Err(problem) = decoded {
            gallery.report(*row as usize, problem)?;
        }
    }
    Ok(())
}

/// Features of the batches so far.
struct Collected<'a> {
    network: &'a Network,
    /// None before the first batch.
    backbone: Option<Backbone<'a>>,
    records: Vec<Record>,
    /// Number of examples in the records of an interrupted process.
    resumed: i64,
    /// Where the records are kept, if they are.
    partial: Option<Partial>,
}

impl<'a> Collected<'a> {
    /// Continues after the records in the file of an interrupted process.
    fn new(network: &'a Network, partial: Option<(Partial, Vec<Record>)>) -> Self {
        let (partial, records) = partial.map_or((None, Vec::new()), |(file, records)| (Some(file), records));
        let resumed = records.iter().map(|record| record.labels.size()[0]).sum();
        Collected { network, backbone: None, records, resumed, partial }
    }

    /// The pass, from 1, and the position in its order after the last batch.
    fn position(&self) -> (u32, usize) {
        self.records.last().map_or((1, 0), |record| (record.pass, record.end))
    }

    /// Adds a batch, the pass and the position after it, and the rows of its examples in the data set.
    fn add(&mut self, batch: &Batch, (pass, end): (u32, usize), rows: Vec<i64>) -> Result<()> {
        let backbone = match &mut self.backbone {
            Some(backbone) => backbone,
            None => self.backbone.insert(Backbone::new(self.network, &batch.inputs)?),
        };
        let values = backbone.features(&batch.inputs)?;
        let record = Record { pass, end, rows, labels: batch.labels.to_device(Device::Cpu), values };
        if let Some(partial) = &mut self.partial
            && let Err(error) = partial.add(&record)
        {
            tracing::warn!("an interruption of the computation of features will lose them: {error}");
            self.partial.take().into_iter().for_each(Partial::remove);
        }
        self.records.push(record);
        Ok(())
    }

    fn features(&mut self) -> Result<Features> {
        if self.records.is_empty() {
            return Err(Error::Usage("there are no examples to compute features of".to_string()));
        }
        let [mut values, mut labels, mut rows] = [(); 3].map(|()| Vec::new());
        for record in self.records.drain(..) {
            values.push(record.values);
            labels.push(record.labels);
            rows.push(Tensor::from_slice(&record.rows));
        }
        let [values, labels, rows] = [values, labels, rows].map(|parts| Tensor::cat(&parts, 0));
        Ok(Features { values, labels, rows, origin: Origin { resumed: self.resumed, ..Origin::default() } })
    }
}

/// Reads features from the cache, or computes them with `compute` and writes them to it. `what` names the examples, apart from the
/// data.
fn cached(
    subject: Subject,
    what: &str,
    compute: impl FnOnce(&mut Collected) -> Result<Option<Features>>,
) -> Result<Option<Features>> {
    let started = Instant::now();
    let cache = key(subject, what)?.and_then(Cache::from_environment);
    let seconds = || started.elapsed().as_secs_f64();
    if let Some(found) = cache.as_ref().and_then(Cache::read) {
        let origin = Origin { seconds: seconds(), ..found.origin };
        return Ok(Some(Features { origin, ..found }));
    }
    let partial = cache.as_ref().and_then(Cache::partial);
    let mut collected = Collected::new(subject.network, partial);
    let Some(computed) = tch::no_grad(|| compute(&mut collected))? else { return Ok(None) };
    if let Some(cache) = &cache {
        cache.write(&computed);
    }
    collected.partial.into_iter().for_each(Partial::remove);
    let origin = Origin { seconds: seconds(), ..computed.origin };
    Ok(Some(Features { origin, ..computed }))
}

/// SHA-256 of everything that determines features bit by bit: the weights without the last layer, the preprocessing, the inputs, and
/// how they are computed. `None` for custom models, whose code is unknown.
fn key(subject: Subject, what: &str) -> Result<Option<String>> {
    let Some(code) = subject.network.code()? else { return Ok(None) };
    let Subject { dataset, preprocessing, network, device, threads } = subject;
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    let preprocessing = serde_json::to_string(preprocessing).expect("the preprocessing can be serialized");
    let device = crate::options::device::name(device);
    let libtorch = cresset_bridge::LIBTORCH_VERSION;
    for text in [VERSION, libtorch, &device, &threads.to_string(), &preprocessing, what] {
        add(text.as_bytes());
    }
    add(code.as_bytes());
    for (name, tensor) in network.state().iter().filter(|(name, _)| !network.is_head(name)) {
        add(format!("{name} {:?} {:?}", tensor.kind(), tensor.size()).as_bytes());
        add(&safetensors::bytes_of(tensor)?);
    }
    match &dataset.inputs {
        Inputs::Floats(values) => {
            let bytes =
                |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
            values.chunks(1 << 16).for_each(|values| add(&bytes(values)));
        }
        Inputs::Bytes(values) => add(values),
        // The fingerprint of the data, which is a part of the key, is that of their file.
        Inputs::Stored(_) => add(dataset.sha256.as_bytes()),
        // The fingerprint of a folder has only the names and sizes of its files.
        Inputs::Images(sources) => {
            let mut bytes = Vec::new();
            for source in sources {
                // An image that cannot be read has no features.
                if source.read(&mut bytes).is_ok() {
                    add(&bytes);
                }
            }
        }
    }
    Ok(Some(hexadecimal(&hash.finalize())))
}
