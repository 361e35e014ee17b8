use cresset_bridge::script::Module;
use proptest::prelude::*;

use super::*;
use crate::data::char_ngrams;
use crate::data::tokens::{BUCKETS, words};

fn module(buckets: u32, char_ngrams: u32, length: usize) -> Module {
    let tokenization = Tokenization::Hashed { buckets, char_ngrams };
    let (source, name, values) = tokenizer(&tokenization, length).unwrap().compile().unwrap();
    Module::from_source(&source, &name, &values).unwrap()
}

fn ids(bytes: &[u8], buckets: u32, longest: u32, length: usize) -> Vec<i64> {
    let id = |hash: u32| i64::from(2 + hash % (buckets - 2));
    let hashes = words(bytes).flat_map(|word| {
        let longest = if word.is_single { 0 } else { longest };
        std::iter::once(word.hash).chain(char_ngrams::hashes(&bytes[word.start..word.end], longest))
    });
    hashes.take(length).map(id).collect()
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
    let text = blocks();
    for longest in [0, 4] {
        let tokenization = Tokenization::Hashed { buckets: BUCKETS, char_ngrams: longest };
        let expected = tokenization.ids(&text, 100_000).unwrap();
        let expected: Vec<_> = expected.into_iter().map(i64::from).collect();
        assert!(expected.len() > 10_000);
        assert_eq!(expected, ids(text.as_bytes(), BUCKETS, longest, 100_000));
        let found = module(BUCKETS, longest, 100_000).call_with_text("encode", text.as_bytes()).unwrap();
        assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn any_bytes_have_the_same_ids(bytes in prop::collection::vec(any::<u8>(), 0..40), text in "[a-zA-Z0-9 .,é东ไ👍\u{1ea1}]{0,40}") {
        thread_local!(static MODULES: [(u32, usize, Module); 3] =
            [(0, 7), (4, 7), (3, 99)].map(|(longest, length)| (longest, length, module(1_000, longest, length))));
        MODULES.with(|modules| {
            for ((longest, length, module), bytes) in modules.iter().flat_map(|of| [(of, &bytes[..]), (of, text.as_bytes())]) {
                assert_eq!(module.call_with_text("encode", bytes).unwrap(), ids(bytes, 1_000, *longest, *length));
            }
        });
    }
}
