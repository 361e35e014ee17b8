//! Statistics of images.

/// The statistics of an image and their names, given its values in (channels, height, width) order: the mean of all values
/// (brightness), their standard deviation (contrast), and the mean of each channel of a color image, in units of the raw values.
///
/// ```
/// use cresset::evaluate::drift::image_statistics;
///
/// let black_and_white = image_statistics(&[0., 0., 255., 255.], 1);
/// assert_eq!(black_and_white, [("brightness", 127.5), ("contrast", 127.5)]);
/// ```
pub fn image_statistics(values: &[f32], channels: usize) -> Vec<(&'static str, f32)> {
    let mean = |values: &[f32]| {
        values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len().max(1) as f64
    };
    let brightness = mean(values);
    let variance = values.iter().map(|value| (f64::from(*value) - brightness).powi(2)).sum::<f64>()
        / values.len().max(1) as f64;
    let mut found = vec![("brightness", brightness as f32), ("contrast", variance.sqrt() as f32)];
    if channels == 3 {
        let planes = values.chunks((values.len() / 3).max(1));
        found.extend(["red", "green", "blue"].into_iter().zip(planes.map(|plane| mean(plane) as f32)));
    }
    found
}
