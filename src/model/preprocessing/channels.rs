//! Mean and standard deviation of each channel of images.

use tch::{Kind, Tensor};

/// Values per chunk. Each takes 16 bytes.
const CHUNK: i64 = 1 << 20;

/// Mean and standard deviation of each channel over uint8 images, (N, channels · height · width). The standard deviation of a
/// constant channel is set to 1.
pub fn statistics(images: &Tensor, channels: i64) -> (Vec<f32>, Vec<f32>) {
    let rows = images.size()[0];
    let (mut sums, mut squares, mut count) = (vec![0.; channels as usize], vec![0.; channels as usize], 0.);
    let chunk = (CHUNK / images.size()[1]).max(1);
    for start in (0..rows).step_by(chunk as usize) {
        let length = chunk.min(rows - start);
        // In float64, in which sums of bytes and of their squares are exact.
        let values = images.narrow(0, start, length).view([length, channels, -1]).to_kind(Kind::Double);
        count += (length * values.size()[2]) as f64;
        add(&mut sums, &values.sum_dim_intlist([0, 2].as_slice(), false, Kind::Double));
        add(&mut squares, &values.square().sum_dim_intlist([0, 2].as_slice(), false, Kind::Double));
    }
    let deviation = |(sum, squares): (&f64, &f64)| {
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(0.).sqrt();
        if deviation > 1e-6 { deviation as f32 } else { 1. }
    };
    (
        sums.iter().map(|sum| (sum / count) as f32).collect(),
        sums.iter().zip(&squares).map(deviation).collect(),
    )
}

fn add(sums: &mut [f64], more: &Tensor) {
    let more = Vec::<f64>::try_from(more).expect("sums are a vector");
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}
