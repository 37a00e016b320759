//! What the documents show is what the binary takes: a person copies it as it stands.

use std::path::{Path, PathBuf};

use super::{load_text, write_private};

/// Where the documents say that files lie.
const SHOWN_FOLDER: &str = "/etc/portent/";

/// README.md and everything in Markdown below docs.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The blocks of a document that are TOML.
fn blocks(document: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(opening) = lines.next() {
        if let Some(language) = opening.trim().strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            if language == "toml" {
                blocks.push(block.join("\n") + "\n");
            }
        }
    }
    blocks
}

/// The block with files that are there, and with a signal where it names none.
fn completed(block: &str, folder: &Path) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    for shown in block.split(SHOWN_FOLDER).skip(1) {
        let name: String =
            shown.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
        let text = match name.rsplit_once('.') {
            Some((_, "pem")) => certificate.clone(),
            Some((_, "key")) => key.serialize_pem(),
            _ => "secret\n".to_owned(),
        };
        write_private(&folder.join(name), &text);
    }
    let block = block.replace(SHOWN_FOLDER, &format!("{}/", folder.display()));
    if block.contains("[signal.") { block } else { format!("{block}\n[signal.example]\nquery = 'up'\n") }
}

/// The block with one of the settings in force that it shows behind a `#`.
fn variants(block: &str) -> Vec<String> {
    let lines: Vec<&str> = block.lines().collect();
    let is_setting = |line: &str| {
        let is_key = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        line.split_once(" = ").is_some_and(|(key, _)| key.chars().all(is_key))
            && line.parse::<toml::Table>().is_ok()
    };
    let shown = lines.iter().enumerate().filter_map(|(place, line)| {
        let line = line.strip_prefix("# ").filter(|line| is_setting(line))?;
        let mut lines = lines.clone();
        *lines.get_mut(place)? = line;
        Some(lines.join("\n") + "\n")
    });
    shown.collect()
}

/// An alternative may stand beside what it is one to, and one of a pair without the other.
fn is_about_its_neighbour(mistake: &str) -> bool {
    mistake.contains("keep one of them") || mistake.contains(" beside it: give ")
}

#[test]
fn every_config_that_a_document_shows_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for path in documents() {
        let text = std::fs::read_to_string(&path).unwrap();
        let shown = path.display();
        for block in blocks(&text) {
            seen += 1;
            if let Err(report) = load_text("shown", &completed(&block, folder.path()), [], &[]) {
                panic!("{shown} shows what is refused:\n{block}\n{report}");
            }
            for variant in variants(&block) {
                let outcome = load_text("shown", &completed(&variant, folder.path()), [], &[]);
                let refused: Vec<String> = outcome.err().map_or_else(Vec::new, |report| {
                    report.mistakes().iter().map(ToString::to_string).collect()
                });
                let real: Vec<&String> =
                    refused.iter().filter(|line| !is_about_its_neighbour(line)).collect();
                assert!(real.is_empty(), "{shown} shows what is refused:\n{variant}\n{real:?}");
            }
        }
    }
    assert!(seen >= 6, "only {seen} blocks were found in {:?}", documents());
}

#[test]
fn a_setting_that_does_not_exist_would_be_found() {
    let folder = tempfile::tempdir().unwrap();
    let document = "text\n```toml\n[source]\n# nonsense = 1\nurl = 'http://a'\n```\n```\nnot = this\n```\n";
    let blocks = blocks(document);
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    assert!(load_text("t", &completed(&blocks[0], folder.path()), [], &[]).is_ok());
    let variants = variants(&blocks[0]);
    assert_eq!(variants.len(), 1, "{variants:?}");
    assert!(load_text("t", &completed(&variants[0], folder.path()), [], &[]).is_err());
}
