//! `Dockerfile` and `.dockerignore`.

use std::collections::BTreeSet;

use super::compose::is_exact;
use super::shipped::{path, text, toml, understands};

/// The Dockerfile's instructions as (word, rest), continued lines joined, comments left out.
pub(crate) fn instructions() -> Vec<(String, String)> {
    let text = text("Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    joined
        .lines()
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            (word.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

/// What is copied out of the build context.
fn copied() -> Vec<String> {
    let of_context = |rest: &String| !rest.starts_with("--from=");
    instructions()
        .iter()
        .filter(|(word, rest)| word == "COPY" && of_context(rest))
        .flat_map(|(_, rest)| {
            let mut words: Vec<String> = rest.split(' ').map(str::to_owned).collect();
            words.pop();
            words
        })
        .collect()
}

fn last(word: &str) -> String {
    let instructions = instructions();
    let found = instructions.iter().rfind(|(name, _)| name == word);
    found.unwrap_or_else(|| panic!("{word} is missing")).1.clone()
}

fn exec_form(rest: &str) -> Vec<String> {
    serde_json::from_str(rest).unwrap_or_else(|error| panic!("{rest} wants a shell: {error}"))
}

#[test]
fn every_stage_stands_on_a_pinned_image() {
    let mut stages = BTreeSet::new();
    for (_, rest) in instructions().iter().filter(|(word, _)| word == "FROM") {
        let (image, stage) = rest.split_once(" AS ").unwrap_or((rest, "last"));
        let digest = image.split_once("@sha256:").map(|(_, digest)| digest);
        let has_digest =
            digest.is_some_and(|digest| digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()));
        let has_version = image.split_once(':').is_some_and(|(_, tag)| is_exact(tag));
        assert!(stages.contains(image) || has_digest || has_version, "{image} is not pinned");
        stages.insert(stage.to_owned());
    }
    assert!(stages.len() >= 3, "{stages:?}");
}

#[test]
fn the_builder_has_the_toolchain_that_the_manifest_asks_for() {
    let wanted = toml("Cargo.toml")["workspace"]["package"]["rust-version"].as_str().unwrap().to_owned();
    let from = &instructions()[0];
    assert_eq!(from.0, "FROM");
    assert!(from.1.starts_with(&format!("rust:{wanted}.")), "{}", from.1);
}

#[test]
fn everything_that_is_copied_exists_and_is_let_through() {
    let ignore = text(".dockerignore");
    let lines: Vec<&str> = ignore.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(lines[0], "*", "nothing is let through that is not named");
    let copied = copied();
    assert!(copied.len() > 5, "{copied:?}");
    for source in &copied {
        assert!(path(source).exists(), "COPY {source}: there is no such file");
        let top = source.split('/').next().unwrap();
        assert!(lines.contains(&format!("!{top}").as_str()), ".dockerignore holds {source} back");
    }
    for line in lines.iter().filter_map(|line| line.strip_prefix('!')) {
        assert!(
            copied.iter().any(|source| source.split('/').next() == Some(line)),
            "{line} is let through for nothing"
        );
    }
}

#[test]
fn every_crate_of_the_workspace_and_every_embedded_file_is_copied() {
    let copied = copied();
    let manifest = toml("Cargo.toml");
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap().trim_start_matches('.');
        let source =
            |name: &str| path(member).join(name).strip_prefix(path("")).unwrap().display().to_string();
        for wanted in [source("Cargo.toml"), source("src")] {
            assert!(copied.contains(&wanted), "{wanted} is not copied: {copied:?}");
        }
    }
    let mut embedded = 0;
    let mut folders = vec![path("src"), path("demo-service/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let file = entry.unwrap().path();
            // Tests don't run in the image.
            let is_test = ["tests", "trials"].contains(&file.file_stem().unwrap().to_str().unwrap());
            if is_test {
                continue;
            } else if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                embedded += embedded_of(&file, &copied);
            }
        }
    }
    assert!(embedded > 2, "the search finds what is embedded");
}

/// Counts the files that a source file embeds, each of which must be copied.
fn embedded_of(file: &std::path::Path, copied: &[String]) -> usize {
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let names = code.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next());
    names
        .map(|name| {
            let target =
                file.parent().unwrap().join(name).canonicalize().unwrap_or_else(|e| panic!("{name}: {e}"));
            let root = path("").canonicalize().unwrap();
            let relative = target.strip_prefix(&root).unwrap();
            let is_copied = copied.iter().any(|source| relative.starts_with(source));
            assert!(is_copied, "{} embeds {}, which is not copied", file.display(), relative.display());
        })
        .count()
}

#[test]
fn the_build_uses_the_lock_file_and_a_profile_that_exists() {
    let builds: Vec<String> = instructions()
        .into_iter()
        .filter(|(word, rest)| word == "RUN" && rest.contains("cargo build"))
        .map(|i| i.1)
        .collect();
    assert_eq!(builds.len(), 2, "dependencies, then our own");
    let profiles = toml("Cargo.toml")["profile"].as_table().unwrap().clone();
    for build in builds {
        let words: Vec<&str> = build.split(' ').collect();
        let profile = words[words.iter().position(|word| *word == "--profile").expect("a profile") + 1];
        assert!(words.contains(&"--locked") && profiles.contains_key(profile), "{build}");
    }
}

#[test]
fn the_image_runs_without_root_and_without_a_shell() {
    let user = last("USER");
    let ids: Vec<u32> =
        user.split(':').map(|id| id.parse().expect("a number, which Kubernetes can check")).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.iter().all(|id| *id > 0), "{user}");
    let instructions = instructions();
    let of_runtime = instructions.iter().rposition(|(word, _)| word == "FROM").unwrap();
    assert!(
        instructions[of_runtime..].iter().all(|(word, _)| word != "RUN" && word != "ADD"),
        "there is no shell"
    );
    let volume = exec_form(&last("VOLUME"));
    assert_eq!(volume, [last("WORKDIR")], "the store's default path is relative");
    let owned = format!("--from=builder --chown={user} ");
    let owns = instructions
        .iter()
        .any(|(word, rest)| word == "COPY" && rest.starts_with(&owned) && rest.ends_with(&volume[0]));
    assert!(owns, "a new volume belongs to {user}");
}

#[test]
fn entry_point_command_and_health_check_are_what_the_binary_understands() {
    let names = [toml("Cargo.toml"), toml("demo-service/Cargo.toml")]
        .map(|manifest| manifest["package"]["name"].as_str().unwrap().to_owned());
    let copies = instructions();
    for name in &names {
        let copied = copies.iter().any(|(word, rest)| {
            word == "RUN"
                && rest.contains(&format!("target/dist/{name} "))
                && rest.contains("/image/usr/local/bin/")
        });
        assert!(copied, "{name} is not in the image");
    }
    let entry = exec_form(&last("ENTRYPOINT"));
    assert_eq!(entry, [format!("/usr/local/bin/{}", names[0])]);
    let command = exec_form(&last("CMD"));
    understands(&command.iter().map(String::as_str).collect::<Vec<_>>());
    let (options, check) = {
        let rest = last("HEALTHCHECK");
        let (o, c) = rest.split_once(" CMD ").expect("CMD");
        (o.to_owned(), c.to_owned())
    };
    assert!(options.contains("--timeout=5s"), "{options}: longer than the probe's own 3 s");
    let check = exec_form(&check);
    assert_eq!(check[0], entry[0]);
    understands(&check[1..].iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_labels_name_this_release() {
    let versions: Vec<String> =
        instructions().into_iter().filter(|(word, _)| word == "ARG").map(|i| i.1).collect();
    assert!(versions.contains(&format!("VERSION={}", env!("CARGO_PKG_VERSION"))), "{versions:?}");
    let labels = last("LABEL");
    for label in ["title", "version", "revision", "licenses", "description"] {
        assert!(labels.contains(&format!("org.opencontainers.image.{label}=")), "{label}");
    }
}
