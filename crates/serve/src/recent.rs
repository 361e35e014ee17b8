//! The latest predictions, so that a correction can name one by its ID.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::HeaderMap;

use cresset::feedback::Answer;
use cresset::predict::Prediction;

/// The most bytes of requests that are kept, and the most predictions.
const MAX_BYTES: usize = 64 << 20;
const MAX_PREDICTIONS: usize = 10_000;

/// The bytes that a prediction takes beside the body of its request, roughly.
const OVERHEAD: usize = 512;

/// A request for predictions, and the most probable class of each of its inputs.
#[derive(Debug, Clone)]
pub(super) struct RecentPrediction {
    pub headers: HeaderMap,
    pub body: Bytes,
    pub answers: Vec<Answer>,
    pub model_sha256: String,
}

impl RecentPrediction {
    fn bytes(&self) -> usize {
        let answers = self.answers.iter().map(|answer| answer.class.len() + size_of::<Answer>());
        OVERHEAD + self.body.len() + answers.sum::<usize>()
    }
}

/// The most probable class of a prediction; none if there are no classes.
pub(super) fn answer(prediction: &Prediction) -> Option<Answer> {
    let best = prediction.predictions.first()?;
    Some(Answer { class: best.class.clone(), probability: best.probability })
}

/// Predictions in the order of their time, of bounded size.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_id: HashMap<String, RecentPrediction>,
    order: VecDeque<String>,
    bytes: usize,
}

impl Recent {
    /// Keeps a prediction, and drops the oldest ones beyond the limits. A request that is larger than the limit is not kept.
    pub fn add(&self, id: String, prediction: RecentPrediction) {
        let bytes = prediction.bytes();
        if bytes > MAX_BYTES {
            return;
        }
        let mut kept = self.lock();
        while kept.order.len() >= MAX_PREDICTIONS || kept.bytes + bytes > MAX_BYTES {
            let Some(oldest) = kept.order.pop_front() else { break };
            let dropped = kept.by_id.remove(&oldest);
            kept.bytes -= dropped.map_or(0, |dropped| dropped.bytes());
        }
        kept.bytes += bytes;
        kept.order.push_back(id.clone());
        kept.by_id.insert(id, prediction);
    }

    /// The prediction with this ID, unless it was dropped.
    pub fn get(&self, id: &str) -> Option<RecentPrediction> {
        self.lock().by_id.get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(bytes: usize) -> RecentPrediction {
        let body = Bytes::from(vec![0; bytes]);
        RecentPrediction { headers: HeaderMap::new(), body, answers: Vec::new(), model_sha256: String::new() }
    }

    #[test]
    fn the_oldest_predictions_are_dropped_beyond_the_limits() {
        let recent = Recent::default();
        for number in 0..5 {
            recent.add(number.to_string(), prediction(MAX_BYTES / 4));
        }
        let is_kept: Vec<bool> = (0..5).map(|number| recent.get(&number.to_string()).is_some()).collect();
        assert_eq!(is_kept, [false, false, true, true, true]);
        recent.add("huge".to_string(), prediction(MAX_BYTES));
        assert!(recent.get("huge").is_none() && recent.get("4").is_some());

        for number in 0..=MAX_PREDICTIONS {
            recent.add(format!("small{number}"), prediction(1));
        }
        assert!(recent.get("small0").is_none() && recent.get("small1").is_some());
        assert_eq!(recent.lock().order.len(), MAX_PREDICTIONS);
    }
}
