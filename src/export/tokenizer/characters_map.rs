//! The replacements of characters of a SentencePiece model (`precompiled_charsmap`): a trie of texts in UTF-8, as an array (Darts, "double
//! array trie system"), and the texts that replace them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::parts::CANNOT;

/// The texts that are replaced, and by what.
pub(super) type Replacements = Vec<(String, String)>;

/// The bytes of a cluster of characters from which on it is replaced character by character.
const LONG_CLUSTER: usize = 6;

/// Reads the value of `precompiled_charsmap`. Of the texts, those that can have an effect: single characters, and clusters that are short.
///
/// # Errors
/// A value that is damaged.
pub(super) fn read(base64: &str) -> Result<Replacements, String> {
    let fault = || format!("a tokenizer whose precompiled_charsmap is damaged {CANNOT}");
    let bytes = BASE64_STANDARD.decode(base64).map_err(|_| fault())?;
    let (size, rest) = bytes.split_at_checked(4).ok_or_else(fault)?;
    let size = u32::from_le_bytes(size.try_into().expect("four bytes")) as usize;
    let (units, texts) = rest.split_at_checked(size).ok_or_else(fault)?;
    let units: Vec<u32> =
        units.chunks_exact(4).map(|unit| u32::from_le_bytes(unit.try_into().expect("four bytes"))).collect();
    let trie = Trie { units: &units, texts };
    let mut found = Vec::new();
    let root = trie.unit(0).ok_or_else(fault)?;
    trie.collect(offset(root), &mut Vec::new(), &mut found).ok_or_else(fault)?;
    Ok(found)
}

struct Trie<'a> {
    units: &'a [u32],
    /// The replacements, each with a byte 0 after it.
    texts: &'a [u8],
}

/// The distance from a unit to those of its children.
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize
}

impl Trie<'_> {
    fn unit(&self, at: usize) -> Option<u32> {
        self.units.get(at).copied()
    }

    /// Adds the texts that start with `prefix`, whose children are at `base`. None if the array is damaged.
    fn collect(&self, base: usize, prefix: &mut Vec<u8>, found: &mut Replacements) -> Option<()> {
        for byte in 1..=u8::MAX {
            let at = base ^ usize::from(byte);
            // The unit of another node has another label.
            let Some(unit) = self.unit(at).filter(|unit| unit & (1 << 31 | 0xFF) == u32::from(byte)) else {
                continue;
            };
            prefix.push(byte);
            let children = at ^ offset(unit);
            if (unit >> 8) & 1 == 1 {
                let start = (self.unit(children)? & !(1 << 31)) as usize;
                let text = self.texts.get(start..)?;
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                if let Ok(key) = std::str::from_utf8(prefix) {
                    found.push((key.to_string(), std::str::from_utf8(&text[..end]).ok()?.to_string()));
                }
            }
            // Longer texts are never looked up.
            if prefix.len() < LONG_CLUSTER {
                self.collect(children, prefix, found)?;
            }
            prefix.pop();
        }
        Some(())
    }
}
