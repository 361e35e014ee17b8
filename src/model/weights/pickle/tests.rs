use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Pickle {
    Pickle::read(bytes).unwrap()
}

fn problem(bytes: &[u8]) -> String {
    Pickle::read(bytes).unwrap_err()
}

fn root(bytes: &[u8]) -> Value {
    let pickle = read(bytes);
    pickle.get(pickle.root()).clone()
}

#[test]
fn every_kind_of_number_and_text_is_read() {
    let number = |bytes: &[u8]| match root(bytes) {
        Value::Int(number) => number,
        other => panic!("{other:?}"),
    };
    assert_eq!(number(b"K\xff."), 255);
    assert_eq!(number(b"M\xff\xff."), 65535);
    assert_eq!(number(b"J\xff\xff\xff\xff."), -1);
    assert_eq!(number(b"\x8a\x00."), 0);
    assert_eq!(number(b"\x8a\x02\x00\xff."), -256);
    assert_eq!(number(b"\x8b\x08\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f."), i64::MAX);
    assert_eq!(number(b"I-7\n."), -7);
    assert_eq!(number(b"L12L\n."), 12);
    assert_eq!(
        root(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."),
        Value::Long(vec![0, 0, 0, 0, 0, 0, 0, 0, 1].into())
    );
    assert_eq!([root(b"I01\n."), root(b"\x89.")], [Value::Bool(true), Value::Bool(false)]);
    assert_eq!([root(b"F1.5\n."), root(b"G\xbf\xf0\0\0\0\0\0\0.")], [Value::Float(1.5), Value::Float(-1.)]);
    for text in [
        &b"S'ab'\n."[..],
        b"Vab\n.",
        b"U\x02ab.",
        b"T\x02\0\0\0ab.",
        b"X\x02\0\0\0ab.",
        b"\x8c\x02ab.",
        b"\x8d\x02\0\0\0\0\0\0\0ab.",
    ] {
        assert_eq!(root(text), Value::Text("ab".into()));
    }
    for bytes in
        [&b"C\x02ab."[..], b"B\x02\0\0\0ab.", b"\x8e\x02\0\0\0\0\0\0\0ab.", b"\x96\x02\0\0\0\0\0\0\0ab."]
    {
        assert_eq!(root(bytes), Value::Bytes((*b"ab").into()));
    }
}

#[test]
fn shared_values_are_stored_once_and_lists_may_be_cyclic() {
    let pickle = read(b"\x80\x02]q\0(h\0h\0K\x01e.and more");
    assert_eq!(pickle.get(pickle.root()), &Value::List(vec![Id(0), Id(0), Id(1)]));
    assert_eq!(pickle.values().len(), 2);
    assert_eq!(pickle.length(), 14);
}

#[test]
fn a_call_is_recorded_and_not_executed() {
    let pickle = read(b"cos\nsystem\n(S'touch /tmp/x'\ntR}S'a'\nNsb.");
    let Value::Object(object) = pickle.get(pickle.root()) else { panic!("{pickle:?}") };
    assert_eq!(pickle.global(object.callable), Some("os.system"));
    let arguments = pickle.members(object.arguments).unwrap();
    assert_eq!(pickle.text(arguments[0]), Some("touch /tmp/x"));
    assert_eq!(pickle.entry(object.state.unwrap(), "a").map(|id| pickle.get(id)), Some(&Value::None));
    // Protocol 4, with a frame and names from the stack.
    let pickle = read(b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02ls\x94\x85\x94R\x94.");
    let Value::Object(object) = pickle.get(pickle.root()) else { panic!("{pickle:?}") };
    assert_eq!(pickle.global(object.callable), Some("posix.system"));
}

#[test]
fn repeated_concatenation_of_a_long_name_is_refused() {
    let name = [&b"\x80\x04X\x00\x00\x10\x00"[..], &vec![b'a'; 1 << 20], b"\x94"].concat();
    assert!(problem(&[name, b"h\0h\0\x93".repeat(1000)].concat()).contains("2097153 bytes long"));
}

#[test]
fn errors_name_the_offset_and_the_instruction() {
    assert_eq!(
        problem(b"\x80\x02K\x01R."),
        "at byte 4 of its pickle, opcode 0x52 (REDUCE): the stack is empty"
    );
    assert_eq!(problem(b"(K\x01a."), "at byte 3 of its pickle, opcode 0x61 (APPEND): the stack is empty");
    assert!(
        problem(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.")
            .contains("more bytes are expected, but the pickle ends after 1")
    );
    assert!(problem(b"X\xff\xff\xff\x7fab").contains("2147483647 more bytes are expected"));
    assert!(problem(b"(ios\nsystem\n.").contains("opcode 0x69 (unknown): this instruction is not supported"));
    assert!(problem(b"h\x05.").contains("nothing is stored at memo index 5"));
    assert!(problem(b"}(Nu.").contains("a key has no value"));
    assert!(problem(b"N(Ne.").contains("the value is not a container"));
    assert!(problem(b"]Nb.").contains("the value is not a container"));
    assert!(problem(b"Ione\n.").contains("`one` is not a number"));
    assert!(problem(b"t.").contains("there is no mark"));
    assert!(problem(b"cos").contains("its line does not end"));
    assert!(problem(b"").starts_with("at byte 0 of its pickle: 1 more bytes are expected"));
}

#[test]
fn deep_nesting_and_many_instructions_are_handled() {
    let deep = [vec![b']'; 1_000_000], vec![b'a'; 999_999], vec![b'.']].concat();
    assert_eq!(read(&deep).values().len(), 1_000_000);
    let endless = vec![b'N'; machine::MOST_INSTRUCTIONS + 1];
    assert!(problem(&endless).contains("more than 4000000 instructions"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_machine_panic(
        bytes: Vec<u8>,
        // Instructions that form valid programs more often than random bytes.
        steps in prop::collection::vec(prop::sample::select(vec![
            &b"N"[..], b"K\x01", b"]", b"}", b")", b"(", b"q\0", b"h\0", b"\x94", b"a", b"e", b"s", b"u", b"t", b"d",
            b"\x85", b"\x86", b"U\x01a", b"cm\nn\n", b"\x93", b"R", b"\x81", b"\x92", b"b", b"Q", b"0", b"1", b"2",
            b"\x8f", b"\x90", b"\x91", b"l",
        ]), 0..60),
    ) {
        let _ = Pickle::read(&bytes);
        if let Ok(pickle) = Pickle::read(&[steps.concat(), b".".to_vec()].concat()) {
            prop_assert!(pickle.values().len() <= steps.len());
        }
    }
}
