//! Data that was read with some options, as others read it.

use crate::error::Result;
use crate::format::options::{DataOptions, ImageSize};
use crate::{Dataset, InputShape, Inputs};

impl Dataset {
    /// The data as `options` read it, without reading it again; none if it must be read again. `before` are the options that it was
    /// read with.
    ///
    /// Images are decoded later and texts are kept, so that the size of images and the tokens of texts can change.
    ///
    /// # Errors
    /// A tokenizer that cannot be read, or cannot encode one of the texts.
    pub fn reread(self, before: &DataOptions, options: &DataOptions) -> Result<Option<Self>> {
        if before == options {
            return Ok(Some(self));
        }
        if !is_same_but_for_decoding(before, options) {
            return Ok(None);
        }
        if self.has_texts() {
            return self.retokenized(options).map(Some);
        }
        let (Inputs::Images(_), Some((channels, ..))) = (&self.inputs, self.shape.image()) else {
            return Ok(Some(self));
        };
        let shape = match options.image_size {
            size if size == before.image_size => self.shape.clone(),
            ImageSize::Pixels(height, width) => InputShape(vec![channels, height.into(), width.into()]),
            ImageSize::Auto => return Ok(None),
        };
        Ok(Some(Dataset { shape, decoding: options.decoding(self.decoding.depth), ..self }))
    }
}

fn is_same_but_for_decoding(before: &DataOptions, options: &DataOptions) -> bool {
    let as_before = DataOptions {
        image_size: before.image_size,
        interpolation: before.interpolation,
        center_crop: before.center_crop,
        tokenizer: before.tokenizer.clone(),
        max_length: before.max_length,
        vocab_size: before.vocab_size,
        char_ngrams: before.char_ngrams,
        ..options.clone()
    };
    as_before == *before
}
