//! Any text: the tokenizer in TorchScript gives the ids of the tokenizer in Rust. The first byte chooses the kind.

#![no_main]

use std::cell::LazyCell;

use cresset::data::tokenizer::{Tokenizer, TrainedKind, train};
use cresset::export::tokenizer::script;
use cresset_bridge::script::Module;

const TEXTS: [&str; 3] =
    ["the quick brown fox jumps over the lazy dog, isn't it?", "Crème brûlée für 12 €", "東京 สวัสดี мир"];

thread_local! {
    static TOKENIZERS: LazyCell<Vec<(Tokenizer, Module)>> = LazyCell::new(|| {
        [TrainedKind::WordPiece, TrainedKind::WordPieceCased, TrainedKind::ByteLevelBpe].map(compiled).into()
    });
}

fn compiled(kind: TrainedKind) -> (Tokenizer, Module) {
    let tokenizer = train(kind, &TEXTS, 500).expect("a vocabulary");
    let (source, name, values) = script(&tokenizer).expect("a script").compile().expect("its source");
    let module = Module::from_source(&source, &name, &values).expect("a module");
    (tokenizer, module)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, text)) = bytes.split_first() else { return };
    TOKENIZERS.with(|tokenizers| {
        let (tokenizer, module) = &tokenizers[usize::from(*first) % tokenizers.len()];
        let ids = tokenizer.encode(&String::from_utf8_lossy(text)).expect("ids");
        let expected: Vec<i64> = ids.into_iter().map(i64::from).collect();
        assert_eq!(module.call_with_text("encode", text).expect("a result"), expected);
    });
});
