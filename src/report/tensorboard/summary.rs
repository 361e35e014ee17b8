//! `Summary.Value` messages: scalars, histograms, images and hyperparameters (tensorboard/compat/proto/summary.proto,
//! tensorboard/plugins/hparams/plugin_data.proto).

use image::RgbImage;
use image::codecs::png::PngEncoder;
use tch::{Kind, Tensor};

use super::event_file::now;
use crate::export::proto::Message;

/// Number of histogram bins.
const BINS: i64 = 64;

// The fields of `Summary.Value`.
const TAG: u64 = 1;
const SIMPLE_VALUE: u64 = 2;
const IMAGE: u64 = 4;
const HISTOGRAM: u64 = 5;
const METADATA: u64 = 9;

/// A scalar.
pub fn scalar(tag: &str, value: f64) -> Message {
    Message::new().text(TAG, tag).float(SIMPLE_VALUE, value as f32)
}

/// A histogram of the values of a tensor, computed on its device. `None` if the tensor is empty or has a NaN or infinite value.
pub fn histogram(tag: &str, tensor: &Tensor) -> Option<Message> {
    let values = tensor.detach().to_kind(Kind::Float).flatten(0, -1);
    if values.numel() == 0 {
        return None;
    }
    let (least, greatest) = (values.min().double_value(&[]), values.max().double_value(&[]));
    if !(least.is_finite() && greatest.is_finite()) {
        return None;
    }
    let counts: Vec<f64> = if least < greatest {
        let counts = values.histc(BINS);
        Vec::try_from(counts.to_kind(Kind::Double)).expect("counts are numbers")
    } else {
        vec![values.numel() as f64]
    };
    let width = (greatest - least) / counts.len() as f64;
    let upper =
        |bin: usize| if bin + 1 == counts.len() { greatest } else { least + (bin + 1) as f64 * width };
    let limits: Vec<f64> = (0..counts.len()).map(upper).collect();
    let (sum, squares) = (values.sum(Kind::Double), values.square().sum(Kind::Double));
    let histogram = Message::new()
        .double(1, least)
        .double(2, greatest)
        .double(3, values.numel() as f64)
        .double(4, sum.double_value(&[]))
        .double(5, squares.double_value(&[]))
        .doubles(6, &limits)
        .doubles(7, &counts);
    Some(Message::new().text(TAG, tag).message(HISTOGRAM, &histogram))
}

/// An image with a caption.
pub fn image(tag: &str, image: &RgbImage, text: &str) -> Message {
    const RGB: i64 = 3;
    let mut png = Vec::new();
    image.write_with_encoder(PngEncoder::new(&mut png)).expect("writing to memory does not fail");
    let (width, height) = (image.width().into(), image.height().into());
    let image = Message::new().int(1, height).int(2, width).int(3, RGB).bytes(4, &png);
    let metadata = Message::new().message(1, &Message::new().text(1, "images")).text(3, text);
    Message::new().text(TAG, tag).message(IMAGE, &image).message(METADATA, &metadata)
}

/// The metrics of the experiment.
pub fn experiment(metrics: &[&str]) -> Message {
    let metric = |tag: &&str| Message::new().message(1, &Message::new().text(2, tag));
    let experiment = Message::new().double(3, now()).messages(5, metrics.iter().map(metric));
    hyper_parameters("_hparams_/experiment", &Message::new().message(2, &experiment))
}

/// The start of a session, with the options of the run.
pub(crate) fn session_start(options: &[(&str, toml::Value)]) -> Message {
    let entry = |(name, value): &(&str, toml::Value)| {
        let value = match value {
            toml::Value::Integer(number) => Message::new().double(2, *number as f64),
            toml::Value::Float(number) => Message::new().double(2, *number),
            toml::Value::Boolean(flag) => Message::new().int(4, (*flag).into()),
            toml::Value::String(text) => Message::new().text(3, text),
            other => Message::new().text(3, &other.to_string()),
        };
        Message::new().text(1, name).message(2, &value)
    };
    let start = Message::new().messages(1, options.iter().map(entry)).double(5, now());
    hyper_parameters("_hparams_/session_start_info", &Message::new().message(3, &start))
}

/// The end of a session.
pub(crate) fn session_end(is_complete: bool) -> Message {
    const SUCCESS: i64 = 1;
    const FAILURE: i64 = 2;
    let end = Message::new().int(1, if is_complete { SUCCESS } else { FAILURE }).double(2, now());
    hyper_parameters("_hparams_/session_end_info", &Message::new().message(4, &end))
}

/// The HParams plugin stores its messages in the metadata of an empty tensor.
fn hyper_parameters(tag: &str, data: &Message) -> Message {
    let plugin = Message::new().text(1, "hparams").bytes(2, &data.clone().into_bytes());
    let metadata = Message::new().message(1, &plugin);
    const TENSOR: u64 = 8;
    const DOUBLE: i64 = 2;
    let tensor = Message::new().int(1, DOUBLE).message(2, &Message::new());
    Message::new().text(TAG, tag).message(METADATA, &metadata).message(TENSOR, &tensor)
}
