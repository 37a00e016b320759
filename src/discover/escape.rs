//! Texts of a backend, made harmless where they are written.

/// Writes a text as a TOML string of one line, with its quotes.
pub fn toml_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if is_unseen(c) => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes a text as a PromQL string, with its quotes.
pub fn promql_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Makes a text fit for a comment: one line of at most so many characters, nothing in it that a terminal or an editor
/// acts on.
pub fn comment_text(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    let words = text.split(|c: char| c.is_whitespace() || is_unseen(c)).filter(|word| !word.is_empty());
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.chars().count() > chars_max {
        line = line.chars().take(chars_max.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}

/// Control characters, and those that turn the direction of a text or have no width.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
