//! What is too large, too much, too slow or no request at all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::fixtures::{digits, digits_run};
use crate::support::server::Server;

/// A PNG of one colour, which says that it is as large.
fn image(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(width, height).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// The checksum of a PNG's chunk.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    };
    !bytes.iter().fold(!0, step)
}

#[test]
fn invalid_inputs_are_rejected_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&digits_run(folder.path(), &["--epochs", "1"]), &[]);
    let mut connection = server.connect();
    let mut damaged = image(20, 20);
    let middle = damaged.len() / 2;
    damaged.truncate(middle);
    let bodies: [(&str, &[u8], u16, &str); 18] = [
        ("application/json", b"", 400, "not valid JSON"),
        ("application/json", b"{\"inputs\": [[1, 2", 400, "not valid JSON"),
        ("application/json", b"\xff\xfe", 400, "not valid JSON"),
        ("application/json", b"{\"inputs\": [[1e999]]}", 400, "not valid JSON"),
        ("application/json", b"[]", 422, "invalid body"),
        ("application/json", b"{}", 422, "either `inputs` or `image`"),
        ("application/json", b"{\"inputs\": [], \"image\": \"\"}", 422, "either `inputs` or `image`"),
        ("application/json", b"{\"inputs\": [[1]], \"x\": 1}", 422, "unknown field `x`"),
        ("application/json", b"{\"inputs\": []}", 422, "no inputs"),
        (
            "application/json",
            b"{\"inputs\": [[1, 2]]}",
            422,
            "row 1: the row has 2 value(s), but the model takes 64",
        ),
        ("application/json", b"{\"image\": \"%%%\"}", 422, "not valid base64"),
        ("application/json", b"{\"image\": \"AAAA\"}", 422, "not an image in a supported format"),
        ("text/csv", b"", 422, "empty"),
        ("text/csv", b"1,2\n", 422, "line 1: the row has 2 value(s)"),
        ("image/png", b"", 422, "this is not an image in a supported format"),
        ("image/png", &damaged, 422, "damaged"),
        ("text/plain", b"1,2", 415, "application/json"),
        ("", b"1,2", 415, "Content-Type"),
    ];
    for (kind, body, status, problem) in bodies {
        let said = connection.ask("POST", "/v1/predict", &[("Content-Type", kind)], body).refused(status);
        assert!(said.contains(problem), "{kind} {}: {said}", String::from_utf8_lossy(body));
    }
    let mut outside = digits(2);
    outside[1][5] = 17.;
    let said = connection.post("/v1/predict", &json!({ "inputs": outside })).refused(422);
    assert!(said.contains("row 2: column 6: the value 17 is outside the range 0 to 16"), "{said}");
    let deep = format!("{{\"inputs\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    connection
        .ask("POST", "/v1/predict", &[("Content-Type", "application/json")], deep.as_bytes())
        .refused(400);

    for (path, status) in [("?top_k=0", 400), ("?top_k=x", 400), ("?top=1", 400), ("?top_k=1&top_k=2", 400)] {
        connection.post(&format!("/v1/predict{path}"), &json!({ "inputs": digits(1) })).refused(status);
    }
    connection.post("/v1/explain?class=x", &json!({ "inputs": digits(1) })).refused(422);
    connection.post("/v1/explain", &json!({ "inputs": digits(2) })).refused(422);
    assert_eq!(connection.post("/v1/predict", &json!({ "inputs": digits(1) })).status, 200, "it goes on");
}

#[test]
fn large_inputs_are_rejected_before_decoding() {
    let folder = tempfile::tempdir().unwrap();
    let run = digits_run(folder.path(), &["--epochs", "1"]);
    let server = Server::start(&run, &["--max-body", "40000", "--max-rows", "3", "--max-pixels", "10000"]);
    let mut connection = server.connect();
    let said = connection.post("/v1/predict", &json!({ "inputs": digits(4) })).refused(413);
    assert!(said.contains("4 inputs, but at most 3 are allowed"), "{said}");
    let rows = digits(4);
    let csv = rows.iter().map(|row| row.iter().map(f64::to_string).collect::<Vec<_>>().join(",") + "\n");
    let csv = csv.collect::<String>();
    connection.ask("POST", "/v1/predict", &[("Content-Type", "text/csv")], csv.as_bytes()).refused(413);
    let large = image(4000, 3);
    let said = connection.ask("POST", "/v1/predict", &[("Content-Type", "image/png")], &large).refused(413);
    assert!(said.contains("4000 × 3 pixels"), "{said}");
    connection.post("/v1/predict", &json!({ "image": STANDARD.encode(&large) })).refused(413);
    connection.post("/v1/predict", &json!({ "image": STANDARD.encode(image(100, 100)) })).granted();

    // Also where an image claims more than is ever decoded: the header alone is looked at.
    let mut claims = image(1, 1);
    claims[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    let checksum = crc32(&claims[12..29]).to_be_bytes();
    claims[29..33].copy_from_slice(&checksum);
    let jpeg: &[u8] = &[
        0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0xff, 0xf0, 0xff, 0xf0, 1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0,
        0, 63, 0,
    ];
    let mut bmp = b"BM".to_vec();
    bmp.extend([0, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0]);
    bmp.extend([0xa0, 0x86, 1, 0, 0xa0, 0x86, 1, 0, 1, 0, 24, 0]);
    bmp.extend([0; 24]);
    for (kind, claims, size) in [
        ("image/png", &claims[..], "100000 × 100000 pixels, but at most 10000"),
        ("image/jpeg", jpeg, "65520 × 65520 pixels"),
        ("image/bmp", &bmp, "100000 × 100000 pixels"),
    ] {
        let said = connection.ask("POST", "/v1/predict", &[("Content-Type", kind)], claims).refused(413);
        assert!(said.contains(size), "{said}");
        connection.post("/v1/explain", &json!({ "image": STANDARD.encode(claims) })).refused(413);
        let sha256 = "0".repeat(64);
        let correction = json!({
            "image": STANDARD.encode(claims), "answer": { "class": "1", "probability": 0.5 }, "correction": "2",
            "model_sha256": sha256,
        });
        connection.post("/v1/feedback", &correction).refused(413);
    }

    // By its length, before it is sent, …
    let mut connection = server.connect();
    let head = [("Content-Type", "image/png"), ("Content-Length", "40001")];
    connection.send("POST", "/v1/predict", &head, b"");
    connection.receive().unwrap().refused(413);
    // … and where no length is said.
    let mut connection = server.connect();
    let chunked = [("Content-Type", "image/png"), ("Transfer-Encoding", "chunked")];
    connection.send("POST", "/v1/predict", &chunked, b"");
    let chunk = [b"8000\r\n".to_vec(), vec![0; 0x8000], b"\r\n".to_vec()].concat();
    connection.raw(&chunk);
    connection.raw(&chunk);
    connection.receive().unwrap().refused(413);
}

#[test]
fn a_client_over_its_rate_limit_gets_retry_after() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&digits_run(folder.path(), &["--epochs", "1"]), &["--rate", "3"]);
    let mut connection = server.connect();
    let replies: Vec<_> = (0..20).map(|_| connection.get("/v1/models")).collect();
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!(replies[0].status == 200 && !refused.is_empty(), "{replies:?}");
    refused[0].refused(429);
    assert_eq!(refused[0].header("retry-after"), Some("1"));
    assert_eq!(connection.get("/healthz").status, 200);
}

#[test]
fn a_full_queue_rejects_requests_until_it_has_room() {
    let folder = tempfile::tempdir().unwrap();
    // A batch that is waited for keeps the queue as it is.
    let server = Server::start(
        &digits_run(folder.path(), &["--epochs", "1"]),
        &["--queue", "3", "--max-delay", "1000000", "--max-batch", "64"],
    );
    let json = [("Content-Type", "application/json")];
    let (full, one) =
        (json!({ "inputs": digits(3) }).to_string(), json!({ "inputs": digits(1) }).to_string());
    let (mut waiting, mut other) = (server.connect(), server.connect());
    let mut refusals = 0;
    let refused = loop {
        waiting.send("POST", "/v1/predict", &json, full.as_bytes());
        let reply = other.ask("POST", "/v1/predict", &json, one.as_bytes());
        let first = waiting.receive().unwrap();
        refusals += [&first, &reply].iter().filter(|reply| reply.status == 503).count();
        if first.status == 503 {
            first.refused(503);
        } else {
            first.granted();
        }
        // Otherwise it came before the queue was full, so that the other one found no room, or after it was emptied.
        if reply.status != 200 {
            break reply;
        }
    };
    refused.refused(503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(
        other
            .get("/metrics")
            .text()
            .contains(&format!("cresset_rejected_total{{reason=\"queue\"}} {refusals}\n"))
    );
    other.ask("POST", "/v1/predict", &json, one.as_bytes()).granted();
}

#[test]
fn endless_requests_time_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&digits_run(folder.path(), &["--epochs", "1"]), &["--timeout", "1"]);
    let mut half = server.connect();
    half.send(
        "POST",
        "/v1/predict",
        &[("Content-Type", "application/json"), ("Content-Length", "100")],
        b"{",
    );
    half.receive().unwrap().refused(408);
    let mut head = server.connect();
    head.raw(b"POST /v1/predict HTTP/1.1\r\nHost: localh");
    assert!(head.receive().is_none_or(|reply| reply.status == 408), "the connection is closed");
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut connection = server.connect();
        connection.raw(nonsense);
        assert!(connection.receive().is_none_or(|reply| reply.status == 400 || reply.status == 505));
    }
    assert_eq!(server.connect().get("/healthz").status, 200);
}
