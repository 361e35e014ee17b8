//! The prediction for an input.

use super::Scored;
use crate::export::Metadata;
use crate::model::Outputs;

/// A class and its probability.
///
/// ```
/// use cresset::predict::{Ranked, ranked};
///
/// let classes = ["cat".to_string(), "dog".to_string()];
/// let best = &ranked(&[0.2, 0.8], 1, &classes)[0];
/// assert_eq!(*best, Ranked { class: "dog".to_string(), probability: 0.8 });
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Ranked {
    /// The name of the class.
    pub class: String,
    /// Its probability, from 0 to 1.
    pub probability: f64,
}

/// The prediction for one input.
///
/// ```
/// use cresset::prelude::*;
///
/// let ranked = Ranked { class: "dog".to_string(), probability: 0.75 };
/// let prediction =
///     Prediction { input: "photo.jpg".to_string(), predictions: vec![ranked], ..Prediction::default() };
/// let json = serde_json::to_string(&prediction).unwrap();
/// assert_eq!(json, r#"{"input":"photo.jpg","predictions":[{"class":"dog","probability":0.75}]}"#);
/// ```
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Prediction {
    /// The path of an image, or `file:line`; empty for an input without a name, such as one in a request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// The most probable classes or labels, the most probable one first; empty for a number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub predictions: Vec<Ranked>,
    /// The predicted labels, in the order of the model; only of models that predict labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// The predicted number; only of models that predict one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The bounds of the number's prediction interval; none if the model has no intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// The classes of the prediction set, the most probable one first; none if the model has no prediction sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<Vec<String>>,
    /// The energy of the logits, in nats: small for inputs like the training data. None if the model has no threshold for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy: Option<f32>,
    /// The distance from 0 to 2 of the features, divided by their norm, to the k-th nearest ones of training examples. None if the
    /// model has no threshold for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<f32>,
    /// Whether the energy or the distance is above the threshold: the input is unlike the training data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ood: Option<bool>,
}

impl Prediction {
    /// The prediction of a model with this metadata from its outputs for an input, with at most `top_k` classes or labels.
    ///
    /// ```
    /// use cresset::predict::Scored;
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// let metadata = cresset::predict::metadata(&out.join("model.pt"))?;
    /// let scored = Scored { probabilities: vec![0.1, 0.2, 0.7], ood_score: None };
    /// let prediction = Prediction::of(&metadata, "flower".to_string(), &scored, 1);
    /// assert_eq!(prediction.predictions[0].class, "virginica");
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub fn of(metadata: &Metadata, input: String, scored: &Scored, top_k: usize) -> Self {
        let Metadata { outputs, classes, conformal, ood, .. } = metadata;
        let Scored { probabilities, ood_score } = scored;
        let nothing = Prediction { input, ..Prediction::default() };
        if let Outputs::Regression { .. } = outputs {
            let value = probabilities[0];
            return Prediction { value: Some(value), interval: outputs.interval(value), ..nothing };
        }
        let found = ood.zip(*ood_score);
        let (energy, distance) = found.map_or((None, None), |(ood, score)| ood.named(score));
        Prediction {
            predictions: ranked(probabilities, top_k.clamp(1, probabilities.len()), classes),
            labels: outputs.named_labels(probabilities, classes),
            set: conformal.map(|conformal| conformal.named_set(probabilities, classes)),
            energy,
            distance,
            ood: found.map(|(ood, score)| ood.is_ood(score)),
            ..nothing
        }
    }
}

/// The `top_k` most probable classes, the most probable first. Ties are in the order of the classes.
///
/// ```
/// use cresset::predict::ranked;
///
/// let classes = ["a", "b", "c"].map(String::from);
/// let best: Vec<String> = ranked(&[0.2, 0.5, 0.3], 2, &classes).into_iter().map(|one| one.class).collect();
/// assert_eq!(best, ["b", "c"]);
/// ```
pub fn ranked(probabilities: &[f64], top_k: usize, classes: &[String]) -> Vec<Ranked> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    let descending = |a: &usize, b: &usize| probabilities[*b].total_cmp(&probabilities[*a]).then(a.cmp(b));
    if top_k < order.len() {
        order.select_nth_unstable_by(top_k - 1, descending);
        order.truncate(top_k);
    }
    order.sort_unstable_by(descending);
    let ranked = |index: usize| Ranked { class: classes[index].clone(), probability: probabilities[index] };
    order.into_iter().map(ranked).collect()
}
