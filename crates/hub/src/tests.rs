//! Downloads from a hub on this machine.

use std::path::Path;

use cresset_data::hosted::{HostedDataset, HostedFile};

use super::*;

#[path = "../../../tests/support/hub.rs"]
#[allow(dead_code, reason = "tests of the program use the rest")]
mod server;

use server::{COMMIT, Hub as Server, Request, sha256};

const WEIGHTS: &str = "model.safetensors";

/// Bytes that take several reads, and differ everywhere.
fn weights() -> Vec<u8> {
    (0..400_000u32).flat_map(|number| number.to_le_bytes()).collect()
}

fn server() -> Server {
    Server::start("org/net", &[("config.json", b"{}"), (WEIGHTS, &weights())])
}

fn settings(endpoint: &str, folder: &Path) -> Settings {
    let variables =
        [("HF_ENDPOINT", endpoint), ("HF_HOME", folder.to_str().unwrap()), ("HF_TOKEN", "hf_secret")];
    let value = |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).into());
    Settings::of(value).unwrap()
}

fn fetch(settings: &Settings, id: &str, name: &str) -> Result<Found> {
    Hub::new(settings.clone())?.file(&id.parse().unwrap(), name, &mut |_| {})
}

fn problem(settings: &Settings, id: &str, name: &str) -> String {
    fetch(settings, id, name).unwrap_err().to_string()
}

#[test]
fn a_file_is_downloaded_once_into_the_layout_of_huggingface_hub() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(&server.endpoint(), folder.path());
    let mut seen = Vec::new();
    let hub = Hub::new(settings.clone()).unwrap();
    let id: ModelId = "org/net".parse().unwrap();
    let found =
        hub.file(&id, WEIGHTS, &mut |progress| seen.push((progress.received, progress.total))).unwrap();
    let root = folder.path().join("hub/models--org--net");
    let path = root.join("snapshots").join(COMMIT).join(WEIGHTS);
    assert_eq!(found, Found { commit: COMMIT.to_string(), path: Some(path.clone()) });
    assert_eq!(std::fs::read(&path).unwrap(), weights());
    assert_eq!(std::fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    let blob = std::fs::read_link(&path).unwrap();
    assert_eq!(blob, Path::new("../../blobs").join(sha256(&weights())));
    assert!(root.join("blobs").read_dir().unwrap().all(|entry| entry.unwrap().path().extension().is_none()));
    let total = weights().len() as u64;
    assert_eq!((seen.first(), seen.last()), (Some(&(0, Some(total))), Some(&(total, Some(total)))));
    assert!(seen.len() > 5 && seen.is_sorted());

    // The server is asked for the commit of a branch, and not at all for a commit.
    server.requests();
    assert_eq!(hub.file(&id, WEIGHTS, &mut |_| panic!("it is in the cache")).unwrap(), found);
    assert!(server.requests().iter().all(|request| request.method == "HEAD" && !request.is_storage));
    assert_eq!(fetch(&settings, &format!("org/net@{COMMIT}"), WEIGHTS).unwrap(), found);
    assert_eq!(server.requests(), []);
    assert_eq!(fetch(&settings, "org/net@refs/pr/1", "config.json").unwrap().commit, COMMIT);
}

#[test]
fn the_token_is_sent_to_the_endpoint_only() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(&server.endpoint(), folder.path());
    fetch(&settings, "org/net", "config.json").unwrap();
    fetch(&settings, "org/net", WEIGHTS).unwrap();
    let requests = server.requests();
    let (storage, endpoint): (Vec<Request>, Vec<Request>) =
        requests.into_iter().partition(|request| request.is_storage);
    assert!(!storage.is_empty() && storage.iter().all(|request| request.authorization.is_none()));
    let bearer = |request: &Request| request.authorization.as_deref() == Some("Bearer hf_secret");
    assert!(endpoint.len() >= 3 && endpoint.iter().all(bearer), "{endpoint:?}");
    assert!(!format!("{settings:?} {:?}", Hub::new(settings.clone()).is_ok()).contains("hf_secret"));
}

#[test]
fn a_connection_that_is_cut_is_continued_where_it_ended() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    server.change(|shelf| shelf.cuts = [300_000, 0, 500_000].into());
    let found = fetch(&settings(&server.endpoint(), folder.path()), "org/net", WEIGHTS).unwrap();
    assert_eq!(std::fs::read(found.path.unwrap()).unwrap(), weights());
    let requests = server.requests().into_iter().filter(|request| request.is_storage);
    let ranges: Vec<_> = requests.map(|request| request.range).collect();
    let range = |start: usize| Some(format!("bytes={start}-"));
    assert_eq!(ranges, [None, range(300_000), range(300_000), range(800_000)]);
}

#[test]
fn a_download_that_fails_says_how_to_continue_and_does() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(&server.endpoint(), folder.path());
    server.change(|shelf| shelf.cuts = [300_000, 0, 0, 0].into());
    let problem = problem(&settings, "org/net", WEIGHTS);
    assert!(problem.contains("ended after 300000 of 1600000 bytes"), "{problem}");
    assert!(problem.contains("Run the command again to continue"), "{problem}");
    let incomplete = format!("hub/models--org--net/blobs/{}.incomplete", sha256(&weights()));
    assert_eq!(std::fs::read(folder.path().join(&incomplete)).unwrap(), weights()[..300_000]);
    server.requests();
    let found = fetch(&settings, "org/net", WEIGHTS).unwrap();
    assert_eq!(std::fs::read(found.path.unwrap()).unwrap(), weights());
    let resumed = server.requests().pop().unwrap();
    assert_eq!(resumed.range.as_deref(), Some("bytes=300000-"));
    assert!(!folder.path().join(incomplete).exists());
}

#[test]
fn a_damaged_file_is_removed() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(&server.endpoint(), folder.path());
    server.change(|shelf| shelf.is_corrupt = true);
    let problem = problem(&settings, "org/net", WEIGHTS);
    assert!(problem.contains("was damaged in the download"), "{problem}");
    assert!(problem.contains(&format!("must be {}", sha256(&weights()))), "{problem}");
    let blobs = folder.path().join("hub/models--org--net/blobs");
    assert_eq!(blobs.read_dir().unwrap().count(), 0);
    server.change(|shelf| shelf.is_corrupt = false);
    assert!(fetch(&settings, "org/net", WEIGHTS).unwrap().path.is_some());
}

#[test]
fn an_error_names_the_cause_and_the_remedy() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(&server.endpoint(), folder.path());
    let anonymous = Settings { token: None, ..settings.clone() };
    let token_file = folder.path().join("token").display().to_string();
    for (settings, id, says) in [
        (
            &settings,
            "org/nett",
            vec!["no model `org/nett`", "/org/nett/resolve/main/config.json", "spelling"],
        ),
        (&settings, "org/net@v9", vec!["no revision `v9`", "/org/net/resolve/v9/config.json"]),
        (&anonymous, "org/private", vec!["HTTP 401", "misspelled, or private", "HF_TOKEN", &token_file]),
        (&settings, "org/private", vec!["HTTP 401", "token is invalid"]),
        (&settings, "org/gated", vec!["HTTP 403", "must be requested on", "/org/gated", "HF_TOKEN"]),
    ] {
        let problem = fetch(settings, id, "config.json").unwrap_err();
        assert!(matches!(&problem, Error::Local(error) if error.is_user_error()), "{problem}");
        says.iter().for_each(|says| assert!(problem.to_string().contains(says), "{says}: {problem}"));
    }
    server.change(|shelf| shelf.storage_status = Some(403));
    let expired = problem(&settings, "org/net", WEIGHTS);
    assert!(expired.contains("HTTP 403") && !expired.contains("Signature"), "{expired}");
    server.change(|shelf| shelf.storage_status = Some(503));
    assert!(problem(&settings, "org/net", WEIGHTS).contains("HTTP 503. Run the command again"));
}

#[test]
fn a_file_that_a_repository_lacks_is_remembered() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let settings = settings(&server.endpoint(), folder.path());
    let missing = Found { commit: COMMIT.to_string(), path: None };
    assert_eq!(fetch(&settings, "org/net", "pytorch_model.bin").unwrap(), missing);
    server.requests();
    assert_eq!(fetch(&settings, &format!("org/net@{COMMIT}"), "pytorch_model.bin").unwrap(), missing);
    assert_eq!(server.requests(), []);
}

#[test]
fn without_a_network_the_cache_is_used() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let online = settings(&server.endpoint(), folder.path());
    let found = fetch(&online, "org/net", WEIGHTS).unwrap();
    server.requests();
    let offline = Settings { offline: true, ..online.clone() };
    assert_eq!(fetch(&offline, "org/net", WEIGHTS).unwrap(), found);
    let problem = problem(&offline, "org/net", "config.json");
    assert!(problem.contains("HF_HUB_OFFLINE is set"), "{problem}");
    assert_eq!(server.requests(), []);

    // Nothing listens at this port.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let unreachable = Settings { endpoint: format!("http://127.0.0.1:{port}"), ..online };
    assert_eq!(fetch(&unreachable, "org/net", WEIGHTS).unwrap(), found);
    let error = fetch(&unreachable, "org/net", "config.json").unwrap_err();
    assert!(matches!(error, Error::Network(_)), "{error}");
    assert!(error.to_string().contains("Check the network connection"), "{error}");
}

#[test]
fn a_file_of_torchvision_is_downloaded_once_into_the_cache_of_torch_hub() {
    let name = format!("net-{}.pth", &sha256(&weights())[..8]);
    let wrong = "other-00000000.pth";
    let server = Server::start("torchvision", &[(&name, &weights()), (wrong, &weights())]);
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        torchvision_endpoint: server.torchvision_endpoint(),
        torch_home: folder.path().join("torch"),
        ..settings("http://unused", folder.path())
    };
    let fetch = |settings: &Settings, name: &str| {
        Hub::new(settings.clone()).unwrap().torchvision_file(name, &mut |_| {})
    };
    let offline = Settings { offline: true, ..settings.clone() };
    let problem = fetch(&offline, &name).unwrap_err().to_string();
    assert!(problem.contains("HF_HUB_OFFLINE is set"), "{problem}");
    server.change(|shelf| shelf.cuts = [300_000].into());
    let path = fetch(&settings, &name).unwrap();
    assert_eq!(path, folder.path().join("torch/hub/checkpoints").join(&name));
    assert_eq!(std::fs::read(&path).unwrap(), weights());
    let requests = server.requests();
    assert_eq!(requests[1].range.as_deref(), Some("bytes=300000-"));
    assert!(requests.iter().all(|request| request.authorization.is_none()), "{requests:?}");
    assert_eq!(fetch(&offline, &name).unwrap(), path);
    assert_eq!(server.requests(), []);

    let problem = fetch(&settings, wrong).unwrap_err().to_string();
    assert!(problem.contains("must begin with 00000000"), "{problem}");
    assert_eq!(
        path.parent()
            .unwrap()
            .read_dir()
            .unwrap()
            .filter(|entry| { !entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with('.') })
            .count(),
        1
    );
    let missing = fetch(&settings, "none-12345678.pth").unwrap_err().to_string();
    assert!(missing.contains("HTTP 404"), "{missing}");
}

#[test]
fn the_environment_variables_of_huggingface_hub_are_followed() {
    let of = |variables: &[(&str, &str)]| {
        let value =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).into());
        Settings::of(value)
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
    let home = folder.path().to_str().unwrap();
    let settings = of(&[("HF_HOME", home)]).unwrap();
    assert_eq!((settings.endpoint.as_str(), settings.token.as_deref()), (ENDPOINT, Some("hf_file")));
    assert_eq!((settings.cache, settings.offline), (folder.path().join("hub"), false));
    let more =
        [("HF_HOME", home), ("HF_TOKEN", "hf_own"), ("HF_HUB_CACHE", "/c"), ("HF_HUB_OFFLINE", "true")];
    let settings = of(&more).unwrap();
    assert_eq!((settings.token.as_deref(), settings.offline), (Some("hf_own"), true));
    assert_eq!(settings.cache, Path::new("/c"));
    assert_eq!(of(&[("HOME", "/h")]).unwrap().cache, Path::new("/h/.cache/huggingface/hub"));
    assert_eq!(
        of(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).unwrap().cache,
        Path::new("/x/huggingface/hub")
    );
    assert_eq!(of(&[("HOME", "/h")]).unwrap().torch_home, Path::new("/h/.cache/torch"));
    let torch = of(&[("HOME", "/h"), ("TORCH_HOME", "/t"), ("TORCHVISION_ENDPOINT", "http://m/")]).unwrap();
    assert_eq!(
        (torch.torch_home.as_path(), torch.torchvision_endpoint.as_str()),
        (Path::new("/t"), "http://m")
    );
    assert!(of(&[]).unwrap_err().to_string().contains("HF_HOME"));
}

#[test]
fn a_data_set_is_complete_or_absent() {
    let leak = |text: String| -> &'static str { text.leak() };
    let bytes = weights();
    let file = |name| HostedFile { name, bytes: bytes.len() as u64, sha256: leak(sha256(&bytes)) };
    let dataset = HostedDataset {
        name: "tiny",
        summary: "",
        license: "",
        url: "http://unused",
        files: Vec::leak(vec![file("images.gz"), file("labels.gz")]),
    };
    let server = Server::start(
        "datasets",
        &[("tiny/images.gz", &bytes), ("tiny/labels.gz", &bytes[..bytes.len() - 1])],
    );
    let place = tempfile::tempdir().unwrap();
    let (folder, incomplete) =
        (place.path().join("datasets/tiny"), place.path().join("datasets/.tiny.incomplete"));
    let settings = Settings {
        datasets_endpoint: Some(server.torchvision_endpoint()),
        ..settings("http://unused", place.path())
    };
    let fetch =
        |settings: &Settings| Hub::new(settings.clone()).unwrap().dataset(&dataset, &folder, &mut |_| {});
    let offline = Settings { offline: true, ..settings.clone() };
    assert!(fetch(&offline).unwrap_err().to_string().contains("HF_HUB_OFFLINE is set"));

    // The second file is too short at first.
    let problem = fetch(&settings).unwrap_err().to_string();
    assert!(problem.contains("labels.gz of the data set tiny"), "{problem}");
    assert!(!folder.exists() && incomplete.join("images.gz").is_file());
    assert!(server.requests().iter().all(|request| request.authorization.is_none()));

    server.change(|shelf| shelf.files[1].2 = bytes.clone());
    fetch(&settings).unwrap();
    for name in ["images.gz", "labels.gz"] {
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), bytes);
    }
    assert!(!incomplete.exists());
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.path == "/tiny/labels.gz"), "{requests:?}");
    fetch(&offline).unwrap();

    // Bytes of the right number, but others.
    std::fs::remove_dir_all(&folder).unwrap();
    server.change(|shelf| shelf.is_corrupt = true);
    let problem = fetch(&settings).unwrap_err().to_string();
    assert!(problem.contains("SHA-256") && !folder.exists(), "{problem}");
}

#[test]
fn files_are_published_in_one_commit_and_large_ones_are_sent_once() {
    let server = Server::start("org/other", &[]);
    let folder = tempfile::tempdir().unwrap();
    let upload = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Upload { name: name.to_string(), path }
    };
    let files = [upload("README.md", b"# A card"), upload(WEIGHTS, &weights())];
    let settings = settings(&server.endpoint(), folder.path());
    let id: ModelId = "org/new".parse().unwrap();
    let push = |token: Option<&str>| {
        let settings = Settings { token: token.map(str::to_string), ..settings.clone() };
        Hub::new(settings).unwrap().push(&id, &files, "First", false, &mut |_| {})
    };
    let problem = push(None).unwrap_err().to_string();
    assert!(problem.contains("without an access token") && problem.contains("HF_TOKEN"), "{problem}");
    let problem = push(Some("hf_read")).unwrap_err().to_string();
    assert!(problem.contains("HTTP 403: this token cannot write"), "{problem}");

    server.change(|shelf| shelf.refused_uploads = 1);
    let pushed = push(Some("hf_write")).unwrap();
    assert_eq!(pushed, Pushed { url: format!("{}/org/new", server.endpoint()), commit: COMMIT.to_string() });
    let puts = |requests: &[Request]| requests.iter().filter(|request| request.method == "PUT").count();
    assert_eq!(puts(&server.requests()), 2);
    server.change(|shelf| {
        let contents = |name: &str| {
            let found = shelf.files.iter().find(|(model, own, _)| model == "org/new" && own == name);
            found.map(|(.., bytes)| bytes.clone())
        };
        assert_eq!(contents(WEIGHTS), Some(weights()));
        assert_eq!(contents("README.md").as_deref(), Some(&b"# A card"[..]));
    });

    push(Some("hf_write")).unwrap();
    assert_eq!(puts(&server.requests()), 0);

    server.change(|shelf| (shelf.stored, shelf.refused_uploads) = (Vec::new(), 99));
    let problem = push(Some("hf_write")).unwrap_err().to_string();
    assert!(
        problem.contains("cannot upload model.safetensors of org/new") && problem.contains("503"),
        "{problem}"
    );
}

#[test]
fn names_that_could_leave_the_cache_are_refused() {
    for text in
        ["", "a/b/c", "..", "../a", "a/..", "a/b@..", "a/b@/x", "a/b@x/../y", "a b", "a--b/c", "/a", "a/b@"]
    {
        assert!(text.parse::<ModelId>().is_err(), "{text}");
    }
    let id: ModelId = "org/net@refs/pr/1".parse().unwrap();
    assert_eq!(
        (id.name(), id.revision(), id.to_string().as_str()),
        ("org/net", "refs/pr/1", "org/net@refs/pr/1")
    );
}
