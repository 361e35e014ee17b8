//! The export of models that detect out-of-distribution inputs by the distance to the features of training examples.

use cresset_bridge::script::Module;
use tch::{Device, Kind, Tensor};

use super::Prepared;
use super::examples::raw_feed;
use crate::error::{Error, Result};
use crate::evaluate::ood::{OodScore, OodThreshold};
use crate::export::{self, Metadata, OOD_BANK};
use crate::loader::{Batch, EvaluationLoader};
use crate::model::Outputs;
use crate::model::layer::normalized;
use crate::options::Config;

/// The most features in the model.
const ROWS: usize = 2048;

/// One feature in so many is among the k nearest: k is 1 % of their number, or 1.
const SHARE: i64 = 100;

/// Examples per forward pass.
const CHUNK: i64 = 64;

/// Rejects a score without a threshold.
///
/// # Errors
/// `--ood-score` without `--ood`.
pub(super) fn check(config: &Config) -> Result<()> {
    if config.ood_score != OodScore::Energy && config.ood.is_none() {
        return Err(Error::Usage("--ood-score requires --ood SHARE".to_string()));
    }
    Ok(())
}

/// The module of the network of `prepared`, and the threshold of its distances with `--ood-score knn`.
pub(super) fn script(
    config: &Config,
    prepared: &Prepared,
    metadata: &Metadata,
) -> Result<(Module, Option<OodThreshold>)> {
    let extend = export::with_preprocessing(&prepared.preprocessing, metadata);
    let module = prepared.network.script(&extend)?;
    let Some(share) = config.ood.filter(|_| config.ood_score == OodScore::Knn) else {
        return Ok((module, None));
    };
    let mut plain = module;
    plain.set_training(false)?;
    let is_text = prepared.preprocessing.kind.is_tokens();
    if !export::define_features(&mut plain, &Outputs::Classification, is_text)? {
        tracing::warn!(
            "--ood-score knn: the last layer of the model is not known, so the model gets no threshold"
        );
        return Ok((prepared.network.script(&extend)?, None));
    }
    let bank = normalized(&features(&plain, &*prepared.training_sample(config, ROWS))?);
    let validation = raw_feed(&prepared.dataset, &prepared.split.validation, config, Device::Cpu);
    let validation = normalized(&features(&plain, &*validation)?);
    let k = (bank.size()[0] / SHARE).max(1);
    let ood = OodThreshold::fit_distances(distances(&validation, &bank, k)?, share, k);
    let module = prepared.network.script(&|class| extend(class).buffer(OOD_BANK, &bank))?;
    if let Some(ood) = &ood {
        export::warn_without_threshold(ood, validation.size()[0] as u64);
    }
    Ok((module, ood))
}

/// The features of raw examples, float32 (N, width).
fn features(module: &Module, feed: &dyn EvaluationLoader) -> Result<Tensor> {
    let mut all = Vec::new();
    for batch in feed.in_order() {
        let Batch { inputs, .. } = batch?;
        let rows = inputs.size()[0];
        for start in (0..rows).step_by(CHUNK as usize) {
            let part = inputs.narrow(0, start, CHUNK.min(rows - start));
            all.extend(tch::no_grad(|| module.call("features", &part))?.into_iter().take(1));
        }
    }
    Ok(Tensor::cat(&all, 0).flatten(1, -1).to_kind(Kind::Float))
}

/// The Euclidean distances of unit vectors (N, width) to their `k`-th nearest ones in `bank`, as `ood_score` computes them.
fn distances(queries: &Tensor, bank: &Tensor, k: i64) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for part in queries.split(CHUNK, 0) {
        let (nearest, _) = part.matmul(&bank.tr()).topk(k, -1, true, true);
        let squares: Tensor = 2. - nearest.select(1, k - 1) * 2.;
        all.extend(Vec::<f32>::try_from(squares.clamp_min(0.).sqrt().contiguous())?);
    }
    Ok(all)
}
