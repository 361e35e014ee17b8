//! A reader of YAML, as far as front matter goes.

use serde_json::{Map, Value};

/// The parts of YAML that front matter needs: mappings and lists by indentation, and scalars.
pub fn yaml(text: &str) -> Value {
    let lines: Vec<(usize, &str)> =
        text.lines().map(|line| (line.len() - line.trim_start().len(), line.trim_start())).collect();
    let (value, rest) = block(&lines);
    assert!(rest.is_empty(), "indentation: {rest:?}");
    value
}

fn block<'a, 'b>(lines: &'b [(usize, &'a str)]) -> (Value, &'b [(usize, &'a str)]) {
    let (indent, is_list) = (lines[0].0, lines[0].1.starts_with("- "));
    let (mut list, mut map, mut rest) = (Vec::new(), Map::new(), lines);
    while let Some((at, line)) =
        rest.first().filter(|(at, line)| *at == indent && line.starts_with("- ") == is_list)
    {
        let item = line.strip_prefix("- ");
        if let Some(item) = item.filter(|item| !item.contains(": ") && !item.ends_with(':')) {
            list.push(scalar(item));
            rest = &rest[1..];
            continue;
        }
        // An item that is a mapping is one with the dash as indentation.
        let inner = item.map(|item| {
            let more = rest[1..].iter().take_while(|(own, _)| *own > *at).count();
            let own: Vec<_> = std::iter::once((at + 2, item)).chain(rest[1..=more].iter().copied()).collect();
            (own, more)
        });
        match inner {
            Some((own, more)) => {
                list.push(block(&own).0);
                rest = &rest[1 + more..];
            }
            None => {
                let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("no mapping: {line}"));
                rest = &rest[1..];
                let value = if value.is_empty() {
                    let (value, behind) = block(rest);
                    rest = behind;
                    value
                } else {
                    scalar(value.trim())
                };
                assert!(map.insert(key.to_string(), value).is_none(), "{key} stands twice");
            }
        }
    }
    (if is_list { Value::Array(list) } else { Value::Object(map) }, rest)
}

fn scalar(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| {
        assert!(!text.contains([':', '#', '"', '{', '[']), "a scalar needs quotation marks: {text}");
        Value::String(text.to_string())
    })
}
