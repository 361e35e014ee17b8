//! Attributes of a module that are lists and dictionaries, and calls with texts.

use crate::Result;
use crate::ffi;
use crate::script::{Module, Values};

impl Values {
    /// Sets the attribute `name`, of type `List[int]`.
    pub fn put_ints(&mut self, name: &str, ints: &[i64]) -> Result<()> {
        Ok(ffi::put_ints(self.inner_mut(), name, ints)?)
    }

    /// Sets the attribute `name`, of type `Dict[int, int]`.
    pub fn put_int_dictionary(&mut self, name: &str, entries: &[(i64, i64)]) -> Result<()> {
        let (keys, ints): (Vec<_>, Vec<_>) = entries.iter().copied().unzip();
        Ok(ffi::put_int_dictionary(self.inner_mut(), name, &keys, &ints)?)
    }

    /// Sets the attribute `name`, of type `Dict[str, int]`.
    pub fn put_text_dictionary(&mut self, name: &str, entries: &[(String, i64)]) -> Result<()> {
        let (keys, ints): (Vec<_>, Vec<_>) = entries.iter().cloned().unzip();
        Ok(ffi::put_text_dictionary(self.inner_mut(), name, &keys, &ints)?)
    }
}

impl Module {
    /// Calls `method`, of type `(str) -> List[int]`. A string of TorchScript is any sequence of bytes.
    ///
    /// # Errors
    /// The method does not exist, has another type, or fails.
    pub fn call_with_text(&self, method: &str, text: &[u8]) -> Result<Vec<i64>> {
        Ok(ffi::call_with_text(self.inner(), method, text)?)
    }

    /// Calls `method`, of type `(str, str) -> Tuple[List[int], List[int]]`.
    ///
    /// # Errors
    /// Those of [`Module::call_with_text`].
    pub fn call_with_texts(&self, method: &str, [first, second]: [&[u8]; 2]) -> Result<(Vec<i64>, Vec<i64>)> {
        let mut others = Vec::new();
        let ints = ffi::call_with_texts(self.inner(), method, first, second, &mut others)?;
        Ok((ints, others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKUP: &str = r#"
class Lookup(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  words : Dict[str, int]
  squares : Dict[int, int]
  order : List[int]
  def find(self: __torch__.Lookup, text: str) -> List[int]:
    return [self.words.get(text, -1), len(text)] + self.order
  def both(self: __torch__.Lookup, first: str, second: str) -> Tuple[List[int], List[int]]:
    return ([len(first)], [self.squares[len(second)]])
"#;

    #[test]
    fn dictionaries_and_lists_survive_the_file_and_texts_are_bytes() {
        let mut values = Values::new();
        values.put_text_dictionary("words", &[("é".to_string(), 7), ("b".to_string(), 8)]).unwrap();
        values.put_int_dictionary("squares", &[(2, 4), (3, 9)]).unwrap();
        values.put_ints("order", &[5, 6]).unwrap();
        let module = Module::from_source(LOOKUP, "__torch__.Lookup", &values).unwrap().copy().unwrap();
        assert_eq!(module.call_with_text("find", "é".as_bytes()).unwrap(), [7, 2, 5, 6]);
        assert_eq!(module.call_with_text("find", b"\xff\0\xc3").unwrap(), [-1, 3, 5, 6]);
        assert_eq!(module.call_with_texts("both", [b"a", b"\xffbc"]).unwrap(), (vec![1], vec![9]));
        assert!(module.call_with_texts("both", [b"a", b""]).is_err(), "the key 0 is missing");
        assert!(module.call_with_text("both", b"a").is_err() && module.call_with_text("none", b"").is_err());
    }
}
