//! What ARCHITECTURE.md says must never be, held by tests: the crate graph, imports that are banned
//! where they are, where `unsafe` and the clock may be, how long files and functions may grow.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use source::Source;

/// Lines of a file outside its tests.
const FILE_LINES: usize = 500;
/// Lines of a function.
const FUNCTION_LINES: usize = 60;
/// Columns of a line.
const COLUMNS: usize = 100;

/// Files and functions that are longer than the limits, each no longer than said here. The list
/// only ever shrinks.
const EXEMPT_FILES: &[(&str, usize)] = &[];
const EXEMPT_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Which crates of ours a crate may depend on, and which others it must not.
const GRAPH: &[(&str, &[&str], &[&str])] = &[
    (
        "engine/core",
        &["corelog-mem"],
        &["glommio", "tokio", "libc", "rustix", "io-uring", "tracing", "rand", "serde"],
    ),
    ("engine/sys/mem", &[], &["libc", "rustix", "io-uring"]),
    ("engine/sys/os", &["corelog-mem"], &["glommio", "tokio"]),
    ("engine/drive", &["corelog-engine", "corelog-mem", "corelog-os"], &["corelog-wire", "tokio"]),
    ("server/wire", &[], &["glommio", "tokio", "rustix", "libc"]),
    (
        "server/broker",
        &["corelog-engine", "corelog-drive", "corelog-wire"],
        &["glommio", "io-uring", "corelog-os", "tokio"],
    ),
    (
        "bench",
        &["corelog-engine", "corelog-mem", "corelog-wire"],
        &["corelog-drive", "glommio", "tokio", "async-nats", "rabbitmq-stream-client"],
    ),
    // Tokio is here for the clients of other brokers, and nowhere else.
    ("bench/streams", &[], &["glommio"]),
    (
        "tests",
        &["corelog-engine", "corelog-mem", "corelog-wire", "corelog-drive"],
        &["glommio", "tokio"],
    ),
];

/// Words that must not occur in the code (comments and strings aside) below a folder.
const BANNED: &[(&str, &[&str])] = &[
    (
        "engine/core/src",
        &[
            "async",
            "await",
            "HashSet",
            "Instant::now",
            "SystemTime",
            "std::fs",
            "std::net",
            "std::thread",
            "std::env",
            "std::collections::HashMap",
            "RandomState",
            "rand",
            "println",
            "corelog_os",
            "corelog_wire",
        ],
    ),
    ("engine/drive/src", &["ErrorCode", "corelog_wire"]),
    ("server/wire/src", &["corelog_engine", "corelog_drive", "std::net", "std::fs", "await"]),
    ("server/broker/src", &["corelog_os", "glommio", "io_uring"]),
    ("", &["todo!", "unimplemented!", "dbg!"]),
];

/// Where a clock may be read; everything else is given the time.
const CLOCKS: &[&str] = &[
    "engine/drive/src/clock.rs",
    // Time-outs of the command line's client, and the time in front of log lines.
    "server/broker/src/cli/",
    "server/broker/src/daemon/",
    "bench/",
];

#[test]
fn crates_depend_only_where_the_graph_allows() {
    let mut wrong = Vec::new();
    for (folder, ours, never) in GRAPH {
        let manifest = read(&root().join(folder).join("Cargo.toml"));
        for dependency in dependencies(&manifest) {
            let ours = dependency.starts_with("corelog") && !ours.contains(&dependency);
            if ours || never.contains(&dependency) {
                wrong.push(format!("{folder} must not depend on {dependency}"));
            }
        }
    }
    report(&wrong);
}

#[test]
fn every_crate_is_in_the_graph() {
    let manifest = read(&root().join("Cargo.toml"));
    let members = manifest.lines().skip_while(|line| !line.starts_with("members"));
    let members = members.skip(1).take_while(|line| !line.starts_with(']'));
    let members: BTreeSet<&str> = members.map(|l| l.trim_matches([' ', '"', ','])).collect();
    let known: BTreeSet<&str> = GRAPH.iter().map(|(folder, ..)| *folder).collect();
    assert_eq!(members, known);
}

#[test]
fn banned_words_do_not_occur() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (folder, words) in BANNED {
            if !source.path.starts_with(folder) {
                continue;
            }
            for (number, line) in source.code_lines() {
                for word in words.iter().filter(|word| source::has_word(line, word)) {
                    wrong.push(format!("{}:{number}: {word}", source.path));
                }
            }
        }
    }
    report(&wrong);
}

#[test]
fn unsafe_is_in_engine_sys_alone() {
    let outside = sources().into_iter().filter(|source| !source.path.starts_with("engine/sys/"));
    let mut wrong = Vec::new();
    for source in outside {
        for (number, line) in source.code_lines() {
            if source::has_word(line, "unsafe") {
                wrong.push(format!("{}:{number}: unsafe", source.path));
            }
        }
    }
    report(&wrong);
}

#[test]
fn one_file_reads_the_clock() {
    let mut wrong = Vec::new();
    for source in sources() {
        if CLOCKS.iter().any(|allowed| source.path.starts_with(allowed)) || source.is_test() {
            continue;
        }
        for (number, line) in source.code_lines() {
            if line.contains("Instant::now") || line.contains("SystemTime::now") {
                wrong.push(format!("{}:{number}: reads a clock", source.path));
            }
        }
    }
    report(&wrong);
}

#[test]
fn files_and_functions_do_not_grow() {
    let mut wrong = Vec::new();
    for source in sources() {
        let lines = source.lines_outside_tests();
        let limit = EXEMPT_FILES.iter().find(|(path, _)| *path == source.path);
        let limit = limit.map_or(FILE_LINES, |(_, limit)| *limit);
        if lines > limit && !source.is_test() {
            wrong.push(format!("{}: {lines} lines, at most {limit}", source.path));
        }
        for (name, lines) in source.functions() {
            let exempt = |(path, function, _): &&(&str, &str, usize)| {
                *path == source.path && *function == name
            };
            let limit = EXEMPT_FUNCTIONS.iter().find(exempt).map_or(FUNCTION_LINES, |e| e.2);
            if lines > limit {
                let path = &source.path;
                wrong.push(format!("{path}: fn {name} has {lines} lines, at most {limit}"));
            }
        }
    }
    report(&wrong);
}

#[test]
fn files_say_what_they_are_for_and_lines_fit() {
    let mut wrong = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//!") && !source.text.starts_with("#![") {
            wrong.push(format!("{}: no `//!` header", source.path));
        }
        for (number, line) in (1..).zip(source.text.lines()) {
            if line.chars().count() > COLUMNS {
                wrong.push(format!("{}:{number}: more than {COLUMNS} columns", source.path));
            }
        }
    }
    report(&wrong);
}

#[test]
fn the_architecture_names_only_what_exists() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let named: BTreeSet<&str> = text.split('`').skip(1).step_by(2).collect();
    let paths = named.into_iter().filter(|name| {
        let first = name.split('/').next().unwrap_or_default();
        name.contains('/') && !name.contains(' ') && root().join(first).is_dir()
    });
    let missing: Vec<String> =
        paths.filter(|path| !root().join(path).exists()).map(str::to_owned).collect();
    report(&missing);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names under `[dependencies]` of a manifest; what only tests use is free.
fn dependencies(manifest: &str) -> Vec<&str> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let entries = section.take_while(|line| !line.starts_with('['));
    let names = entries.filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| !name.is_empty()).collect()
}

fn sources() -> Vec<Source> {
    let mut found = BTreeMap::new();
    for folder in ["engine", "server", "bench", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    found.into_iter().map(|(path, text)| Source { path, text }).collect()
}

fn collect(folder: &Path, found: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if path.is_dir() && !hidden && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
            found.insert(relative, read(&path));
        }
    }
}

fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
