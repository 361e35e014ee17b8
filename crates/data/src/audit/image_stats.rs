//! Image statistics for the audit.

use std::sync::Arc;

use image::imageops::{FilterType, resize};

use super::{AuditedData, Finding, Severity};
use crate::image::{Channels, Fitter, ImageSource, Region};
use crate::parallel::OrderedMap;
use crate::{Dataset, Inputs, thumbnail};

/// Images with a standard deviation below this (of 255) are blank.
const BLANK: f64 = 2.;

/// The side of the gray thumbnail of an image.
const SIDE: u32 = 32;

/// A gray value that differs from the background by more than this is foreground.
const FOREGROUND: u8 = 12;

/// Statistics of an image.
#[derive(Debug, Clone)]
pub(crate) struct ImageStatistics {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The whole image in gray, 32 × 32.
    pub gray: Vec<u8>,
    /// A perceptual hash: whether each of 8 × 8 cells is brighter than the one to its right (N. Krawetz's
    /// "difference hash", with the last cell compared to the first).
    pub hash: u64,
    /// The mean of the gray values.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// The fraction of the thumbnail that differs from the background, its most frequent value.
    pub ink: f64,
    /// A warning from the decoder.
    pub remark: Option<String>,
}

impl ImageStatistics {
    fn new(width: u32, height: u32, gray: Vec<u8>) -> Self {
        let count = gray.len() as f64;
        let mean = gray.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
        let variance = gray.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
        let cell = |x: usize, y: usize| -> u32 {
            let rows = (4 * y..4 * y + 4).map(|row| &gray[row * SIDE as usize + 4 * x..][..4]);
            rows.flatten().map(|value| u32::from(*value)).sum()
        };
        // Cells that differ by less than one level count as equal; otherwise noise would decide in uniform
        // areas.
        let is_brighter = |at: usize| cell(at % 8, at / 8) > cell((at % 8 + 1) % 8, at / 8) + 16;
        let hash = (0..64).filter(|at| is_brighter(*at)).fold(0, |hash, at| hash | 1 << at);
        let mut shades = [0usize; 256];
        gray.iter().for_each(|value| shades[usize::from(*value)] += 1);
        let background = (0..256).max_by_key(|shade| shades[*shade]).unwrap_or(0) as u8;
        let ink = gray.iter().filter(|value| value.abs_diff(background) > FOREGROUND).count() as f64 / count;
        ImageStatistics { width, height, hash, mean, deviation: variance.sqrt(), ink, remark: None, gray }
    }

    /// Whether the image is blank.
    pub(crate) fn is_blank(&self) -> bool {
        self.deviation < BLANK
    }

    /// The distance of two images: the mean difference of their gray values, relative to their contrast.
    pub fn distance(&self, other: &ImageStatistics) -> f64 {
        let differences = self.gray.iter().zip(&other.gray).map(|(a, b)| f64::from(a.abs_diff(*b)));
        let mean = differences.sum::<f64>() / self.gray.len() as f64;
        mean / ((self.deviation + other.deviation) / 2.).max(1.)
    }
}

/// The statistics of all images of a data set, or why one cannot be read. Empty for tables.
pub fn of(dataset: &Dataset, threads: usize) -> Vec<Result<ImageStatistics, String>> {
    let Some(shape) = dataset.shape.image() else { return Vec::new() };
    if let Inputs::Images(sources) = &dataset.inputs {
        let (sources, decoding): (Arc<[ImageSource]>, _) = (sources.as_slice().into(), dataset.decoding);
        let worker = || {
            let sources = Arc::clone(&sources);
            let mut fitter = Fitter::new(Channels::Grey, SIDE, SIDE).with_decoding(decoding);
            let mut bytes = Vec::new();
            move |index: usize| {
                sources[index].read(&mut bytes).map_err(|e| format!("cannot read the file: {e}"))?;
                let mut gray = vec![0; (SIDE * SIDE) as usize];
                let (mut width, mut height) = (0, 0);
                let whole = |size| {
                    (width, height) = size;
                    Region { left: 0., top: 0., width: f64::from(width), height: f64::from(height) }
                };
                fitter.fit(&bytes, whole, &mut gray)?;
                Ok(ImageStatistics {
                    remark: fitter.take_warning(),
                    ..ImageStatistics::new(width, height, gray)
                })
            }
        };
        return OrderedMap::new(threads, 0..sources.len(), 8 * threads, worker).collect();
    }
    let stats = |index| {
        let rgb = thumbnail::from_values(&thumbnail::values(dataset, index), shape)
            .ok_or("the image size is not supported")?;
        let gray = image::DynamicImage::from(rgb).into_luma8();
        let (width, height) = gray.dimensions();
        Ok(ImageStatistics::new(width, height, resize(&gray, SIDE, SIDE, FilterType::Triangle).into_raw()))
    };
    (0..dataset.rows()).map(stats).collect()
}

/// The number of images sampled before training.
const SAMPLED: usize = 64;

/// A warning if nearly all images of a sample are blank or identical.
pub(crate) fn mostly_identical(dataset: &Dataset, threads: usize) -> Option<String> {
    let count = dataset.rows().min(SAMPLED);
    dataset.shape.image().filter(|_| dataset.is_image_data() && count > 1)?;
    let sample: Vec<usize> = (0..count).map(|index| index * dataset.rows() / count).collect();
    let image_stats: Vec<ImageStatistics> =
        of(&dataset.select(&sample), threads).into_iter().flatten().collect();
    let are_most = |found: usize| !image_stats.is_empty() && found * 10 >= image_stats.len() * 9;
    let count_read = image_stats.len();
    // Uniform images with different gray values may differ in color.
    let identical = image_stats.iter().filter(|stats| stats.distance(&image_stats[0]) < 0.01).count();
    if !are_most(identical) {
        return None;
    }
    let blank = image_stats.iter().filter(|stats| stats.is_blank()).count();
    if are_most(blank) {
        let remark = image_stats.iter().find_map(|stats| stats.remark.clone());
        let remark = remark.map_or(String::new(), |remark| format!(" (for one: {remark})"));
        return Some(format!(
            "{blank} of {count_read} sampled images are blank, with a single gray value{remark}"
        ));
    }
    Some(format!("{identical} of {count_read} sampled images are identical"))
}

/// Unreadable images.
pub fn unreadable(audited: &AuditedData) -> Vec<Finding> {
    let bad = audited
        .image_stats
        .iter()
        .enumerate()
        .filter_map(|(index, stats)| Some((index, stats.as_ref().err()?)));
    let examples: Vec<_> = bad.map(|(index, problem)| audited.flag(index, problem, true)).collect();
    if examples.is_empty() {
        return Vec::new();
    }
    vec![Finding {
        check: "unreadable",
        severity: Severity::Fault,
        summary: format!("{} of {} images cannot be read", examples.len(), audited.image_stats.len()),
        advice: "restore them, or exclude them",
        examples,
    }]
}
