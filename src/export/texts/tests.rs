use cresset_bridge::script::Module;
use proptest::prelude::*;

use super::*;
use crate::data::tokens::words;

fn module(buckets: u32, length: usize) -> Module {
    let (source, name, values) =
        tokenizer(&Tokenization::Hashed { buckets }, length).unwrap().compile().unwrap();
    Module::from_source(&source, &name, &values).unwrap()
}

fn ids(bytes: &[u8], buckets: u32, length: usize) -> Vec<i64> {
    let id = |hash: u32| i64::from(2 + hash % (buckets - 2));
    words(bytes).take(length).map(|word| id(word.hash)).collect()
}

/// A text with characters of every Unicode block.
fn blocks() -> String {
    let characters = (0..0x11_0000u32).step_by(61).filter_map(char::from_u32);
    characters
        .enumerate()
        .flat_map(|(place, character)| [Some(character), (place % 3 == 0).then_some(' ')])
        .flatten()
        .collect()
}

#[test]
fn words_of_every_unicode_block_have_the_same_ids() {
    let module = module(1 << 18, 100_000);
    let text = blocks();
    let found = module.call_with_text("encode", text.as_bytes()).unwrap();
    assert!(found.len() > 10_000);
    assert_eq!(found, ids(text.as_bytes(), 1 << 18, 100_000));
    assert_eq!(
        found,
        Tokenization::default()
            .ids(&text, 100_000)
            .unwrap()
            .iter()
            .map(|id| i64::from(*id))
            .collect::<Vec<_>>()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn any_bytes_have_the_same_ids(bytes in prop::collection::vec(any::<u8>(), 0..40), text in "[a-zA-Z0-9 .,é东ไ👍\u{1ea1}]{0,40}") {
        thread_local!(static MODULE: Module = module(1_000, 7));
        MODULE.with(|module| {
            for bytes in [&bytes[..], text.as_bytes()] {
                assert_eq!(module.call_with_text("encode", bytes).unwrap(), ids(bytes, 1_000, 7));
            }
        });
    }
}
