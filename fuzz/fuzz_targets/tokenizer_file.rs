//! A `tokenizer.json`, or the vocabulary of BERT if it is not JSON.

#![no_main]

use cresset::data::tokenizer::Tokenizer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let name = if bytes.first() == Some(&b'{') { "tokenizer.json" } else { "vocab.txt" };
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    if let Ok(tokenizer) = Tokenizer::from_file(&path, None) {
        let _ = tokenizer.encode("The dog, isn't it? [MASK]\u{e9}");
        let _ = tokenizer.encode_pair("a", "b");
        let _ = cresset::export::tokenizer::script(&tokenizer);
    }
});
