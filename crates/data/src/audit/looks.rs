//! What pictures look like, in few numbers.

use std::sync::Arc;

use image::imageops::{FilterType, resize};

use super::{Finding, Severity, Subject};
use crate::image::{Channels, Fitter, ImageSource, Region};
use crate::parallel::Ordered;
use crate::{Dataset, Inputs, thumbnail};

/// Pictures with less contrast than this, of 255, show nothing.
const BLANK: f64 = 2.;

/// The side of the grey picture that stands for a picture.
const SIDE: u32 = 32;

/// A shade that is so far from that of the ground is ink.
const INK: u8 = 12;

/// What a picture looks like.
#[derive(Debug, Clone)]
pub struct Look {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The whole picture in grey, 32 × 32.
    pub grey: Vec<u8>,
    /// A perceptual hash: whether each of 8 × 8 fields is brighter than the one to its right (N. Krawetz's "difference
    /// hash", with the last field compared to the first).
    pub hash: u64,
    /// Mean of the grey values.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// The share of the grey picture that differs from its commonest shade.
    pub ink: f64,
    /// What its decoding remarked.
    pub remark: Option<String>,
}

impl Look {
    fn new(width: u32, height: u32, grey: Vec<u8>) -> Self {
        let count = grey.len() as f64;
        let mean = grey.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
        let variance = grey.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
        let field = |x: usize, y: usize| -> u32 {
            let rows = (4 * y..4 * y + 4).map(|row| &grey[row * SIDE as usize + 4 * x..][..4]);
            rows.flatten().map(|value| u32::from(*value)).sum()
        };
        // Fields that differ by less than one level are alike, or noise would decide in plain areas.
        let is_brighter = |at: usize| field(at % 8, at / 8) > field((at % 8 + 1) % 8, at / 8) + 16;
        let hash = (0..64).filter(|at| is_brighter(*at)).fold(0, |hash, at| hash | 1 << at);
        let mut shades = [0usize; 256];
        grey.iter().for_each(|value| shades[usize::from(*value)] += 1);
        let ground = (0..256).max_by_key(|shade| shades[*shade]).unwrap_or(0) as u8;
        let ink = grey.iter().filter(|value| value.abs_diff(ground) > INK).count() as f64 / count;
        Look { width, height, hash, mean, deviation: variance.sqrt(), ink, remark: None, grey }
    }

    /// Whether it shows nothing.
    pub fn is_blank(&self) -> bool {
        self.deviation < BLANK
    }

    /// How far two pictures are apart: the mean difference of their grey values, as a share of their contrast.
    pub fn distance(&self, other: &Look) -> f64 {
        let differences = self.grey.iter().zip(&other.grey).map(|(a, b)| f64::from(a.abs_diff(*b)));
        let mean = differences.sum::<f64>() / self.grey.len() as f64;
        mean / ((self.deviation + other.deviation) / 2.).max(1.)
    }
}

/// The looks of all pictures of a data set, or why one cannot be read. Nothing for tables.
pub fn of(dataset: &Dataset, threads: usize) -> Vec<Result<Look, String>> {
    let Some(shape) = dataset.shape.image() else { return Vec::new() };
    if let Inputs::Images(sources) = &dataset.inputs {
        let (sources, depth): (Arc<[ImageSource]>, _) = (sources.as_slice().into(), dataset.depth);
        let worker = || {
            let sources = Arc::clone(&sources);
            let mut fitter = Fitter::new(Channels::Grey, SIDE, SIDE).with_depth(depth);
            let mut bytes = Vec::new();
            move |index: usize| {
                sources[index].read(&mut bytes).map_err(|e| format!("cannot read the file: {e}"))?;
                let mut grey = vec![0; (SIDE * SIDE) as usize];
                let (mut width, mut height) = (0, 0);
                let whole = |size| {
                    (width, height) = size;
                    Region { left: 0., top: 0., width: f64::from(width), height: f64::from(height) }
                };
                fitter.fit(&bytes, whole, &mut grey)?;
                Ok(Look { remark: fitter.take_remark(), ..Look::new(width, height, grey) })
            }
        };
        return Ordered::new(threads, 0..sources.len(), 8 * threads, worker).collect();
    }
    let look = |index| {
        let picture = thumbnail::from_values(&thumbnail::values(dataset, index), shape)
            .ok_or("the picture has no size that can be shown")?;
        let grey = image::DynamicImage::from(picture).into_luma8();
        let (width, height) = grey.dimensions();
        Ok(Look::new(width, height, resize(&grey, SIDE, SIDE, FilterType::Triangle).into_raw()))
    };
    (0..dataset.rows()).map(look).collect()
}

/// So many images are looked at before training.
const GLANCED: usize = 64;

/// What is to be said of a data set of which nearly all images show nothing, or the same, by a glance at some of them.
pub fn all_alike(dataset: &Dataset, threads: usize) -> Option<String> {
    let count = dataset.rows().min(GLANCED);
    dataset.shape.image().filter(|_| dataset.has_pictures() && count > 1)?;
    let some: Vec<usize> = (0..count).map(|index| index * dataset.rows() / count).collect();
    let looks: Vec<Look> = of(&dataset.select(&some), threads).into_iter().flatten().collect();
    let is_most = |found: usize| !looks.is_empty() && found * 10 >= looks.len() * 9;
    let seen = looks.len();
    // Images of one shade each that are not the same shade may differ in color.
    let alike = looks.iter().filter(|look| look.distance(&looks[0]) < 0.01).count();
    if !is_most(alike) {
        return None;
    }
    let blank = looks.iter().filter(|look| look.is_blank()).count();
    if is_most(blank) {
        let remark = looks.iter().find_map(|look| look.remark.clone());
        let remark = remark.map_or(String::new(), |remark| format!(" (of one: {remark})"));
        return Some(format!(
            "{blank} of {seen} images that were looked at show nothing: they have one shade{remark}"
        ));
    }
    Some(format!("{alike} of {seen} images that were looked at are alike"))
}

/// Pictures that cannot be decoded.
pub fn unreadable(subject: &Subject) -> Vec<Finding> {
    let bad =
        subject.looks.iter().enumerate().filter_map(|(index, look)| Some((index, look.as_ref().err()?)));
    let examples: Vec<_> = bad.map(|(index, problem)| subject.mention(index, problem, true)).collect();
    if examples.is_empty() {
        return Vec::new();
    }
    vec![Finding {
        check: "unreadable",
        severity: Severity::Fault,
        summary: format!("{} of {} pictures cannot be read", examples.len(), subject.looks.len()),
        advice: "fetch them again, or leave them out",
        examples,
    }]
}
