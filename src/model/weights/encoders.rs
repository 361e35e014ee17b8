//! Names of text encoders in files: without the name of the encoder, or with the names that TensorFlow gives layer normalization.

use crate::model::Tensors;

/// The layer of the encoder in models with a last layer.
const ENCODERS: [&str; 4] = ["bert.", "distilbert.", "roberta.", "model."];

/// Parameters of layer normalization in files that were converted from TensorFlow, and in PyTorch.
const NORMALIZATION: [(&str, &str); 2] = [(".gamma", ".weight"), (".beta", ".bias")];

/// The tensors of a file of an encoder with the names of `model`, an encoder with a last layer: files of an encoder alone, such as
/// those of sentence-transformers, have `embeddings.…` in place of `bert.embeddings.…`.
pub fn renamed(file: Tensors, model: &Tensors) -> Tensors {
    let is_of = |encoder: &&&str| model.keys().any(|name| name.starts_with(&format!("{encoder}embeddings.")));
    let Some(encoder) = ENCODERS.iter().find(is_of) else { return file };
    let is_alone = !file.keys().any(|name| name.contains(encoder));
    let rename = |name: String| {
        let own =
            NORMALIZATION.iter().find_map(|(old, new)| Some(format!("{}{new}", name.strip_suffix(old)?)));
        let own = own.unwrap_or(name);
        let whole = format!("{encoder}{own}");
        if is_alone && model.contains_key(&whole) { whole } else { own }
    };
    file.into_iter().map(|(name, tensor)| (rename(name), tensor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Network, Task};
    use tch::Device;

    #[test]
    fn files_of_an_encoder_alone_get_the_name_of_its_layer() {
        let network =
            Network::new("bert", "depth=1,width=8,hidden=8", &Task::of_texts(4, 2), Device::Cpu, 0).unwrap();
        let model = network.state();
        let old = |name: &String| {
            let own = name.strip_prefix("bert.").unwrap_or(name);
            own.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        };
        let file: Tensors = model.iter().map(|(name, tensor)| (old(name), tensor.shallow_clone())).collect();
        assert!(file.contains_key("embeddings.LayerNorm.gamma"));
        assert!(renamed(file, &model).keys().eq(model.keys()));
        assert!(renamed(network.state(), &model).keys().eq(model.keys()));
    }
}
