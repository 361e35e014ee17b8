//! SLURM node lists.

/// The first host of a node list such as `gpu[07-09,12],login`: `gpu07`.
pub(super) fn first_host(list: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = list;
    while let Some(place) = rest.find(['[', ',']) {
        name.push_str(&rest[..place]);
        if rest[place..].starts_with(',') {
            return (!name.is_empty()).then_some(name);
        }
        let end = place + rest[place..].find(']')?;
        let numbers = &rest[place + 1..end];
        name.push_str(numbers.split([',', '-']).next()?);
        rest = &rest[end + 1..];
    }
    name.push_str(rest);
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::first_host;

    #[test]
    fn the_first_machine_of_every_kind_of_list() {
        for (list, first) in [
            ("node7", "node7"),
            ("node7,node8", "node7"),
            ("gpu[07-09,12],login", "gpu07"),
            ("gpu[3,5-6]", "gpu3"),
            ("rack[1-2]-node[01-16]", "rack1-node01"),
            ("rack[1-2]n,other", "rack1n"),
        ] {
            assert_eq!(first_host(list).as_deref(), Some(first), "{list}");
        }
        assert_eq!(first_host(""), None);
        assert_eq!(first_host("gpu[07"), None);
    }
}
