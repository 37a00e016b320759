//! Reads Rust as far as the rules need it: tokens without prose, paths with groups written out, functions.

/// A word, a sign (`::` is one) or a literal, which is left as `""`. Comments and lifetimes are dropped.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text.starts_with(is_word_character)
    }
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let source: Vec<char> = text.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < source.len() {
        let (kind, end) = lex(&source, at);
        let end = end.min(source.len());
        match kind {
            Kind::Blank => {}
            Kind::Literal => tokens.push(Token { text: "\"\"".to_owned(), line }),
            Kind::Plain => tokens.push(Token { text: source[at..end].iter().collect(), line }),
        }
        line += source[at..end].iter().filter(|character| **character == '\n').count();
        at = end;
    }
    tokens
}

enum Kind {
    Blank,
    Literal,
    Plain,
}

fn lex(source: &[char], at: usize) -> (Kind, usize) {
    let peek = |offset: usize| source.get(at + offset).copied().unwrap_or('\0');
    let word_end = |from: usize| from + source[from..].iter().take_while(|c| is_word_character(**c)).count();
    match (source[at], peek(1)) {
        ('/', '/') => (Kind::Blank, at + source[at..].iter().take_while(|c| **c != '\n').count()),
        ('/', '*') => (Kind::Blank, block_comment_end(source, at)),
        ('"', _) => (Kind::Literal, string_end(source, at + 1, '"')),
        ('\'', '\\') => (Kind::Literal, string_end(source, at + 1, '\'')),
        ('\'', _) if peek(2) == '\'' => (Kind::Literal, at + 3),
        ('\'', _) => (Kind::Blank, word_end(at + 1)),
        (':', ':') => (Kind::Plain, at + 2),
        (first, _) if first.is_whitespace() => (Kind::Blank, at + 1),
        (first, _) if is_word_character(first) => {
            let end = word_end(at);
            let prefix: String = source[at..end].iter().collect();
            match raw_string_end(source, end).filter(|_| ["r", "br", "cr"].contains(&prefix.as_str())) {
                Some(end) => (Kind::Literal, end),
                None => (Kind::Plain, end),
            }
        }
        _ => (Kind::Plain, at + 1),
    }
}

fn block_comment_end(source: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < source.len() {
        match (source[at], source.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(source: &[char], mut at: usize, quote: char) -> usize {
    while at < source.len() && source[at] != quote {
        at += if source[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Where a raw string ends whose hashes and opening quote start at `at`, if they do.
fn raw_string_end(source: &[char], at: usize) -> Option<usize> {
    let hashes = source[at..].iter().take_while(|c| **c == '#').count();
    let body = at + hashes + 1;
    if source.get(at + hashes) != Some(&'"') {
        return None;
    }
    let closes = |end: &usize| {
        let after = &source[end + 1..];
        source[*end] == '"' && after.len() >= hashes && after[..hashes].iter().all(|c| *c == '#')
    };
    let end = (body..source.len()).find(closes)?;
    Some(end + 1 + hashes)
}

/// The index after the group that opens at `open`, a bracket of any kind.
pub(crate) fn after_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

pub(crate) fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for (index, pair) in tokens.windows(2).enumerate().filter(|(_, pair)| pair[0].text == "fn") {
        let mut at = index + 1;
        while at < tokens.len() && !["{", ";"].contains(&tokens[at].text.as_str()) {
            at = after_group(tokens, at);
        }
        if pair[1].is_word() && tokens.get(at).is_some_and(|token| token.text == "{") {
            let (line, last) = (pair[0].line, tokens[after_group(tokens, at) - 1].line);
            found.push(Function { name: pair[1].text.clone(), line, lines: last - line + 1 });
        }
    }
    found
}

/// One path, with the groups of a `use` written out: `use a::{b, c::d}` is `a::b` and `a::c::d`.
pub(crate) struct Mention {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Inline modules around it.
    depth: usize,
    imported: bool,
}

impl Mention {
    /// The room that the path leads to, if it starts at the crate; `depth` is that of the file's module.
    pub(crate) fn room(&self, depth: usize) -> Option<&str> {
        let from = usize::from(self.segments[0] == "self");
        let supers = self.segments[from..].iter().take_while(|segment| *segment == "super").count();
        let is_crate = self.segments[0] == "crate";
        let rest = if is_crate { 1 } else { from + supers };
        if !is_crate && (supers == 0 || supers < depth + self.depth) {
            return None;
        }
        let whole = self.imported.then_some("the whole crate");
        self.segments.get(rest).map(String::as_str).or(whole)
    }

    pub(crate) fn names_crate(&self, name: &str) -> bool {
        self.segments[0] == name && (self.imported || self.segments.len() > 1)
    }
}

pub(crate) fn mentions(tokens: &[Token]) -> Vec<Mention> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    let (mut imported, mut braces, mut modules, mut at) = (false, 0_usize, Vec::new(), 0);
    while at < tokens.len() {
        match text(at) {
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                modules.retain(|opened| *opened <= braces);
            }
            ";" => imported = false,
            // `impl Trait + use<'a>` imports nothing.
            "use" => imported = text(at + 1) != "<",
            "extern" if text(at + 1) == "crate" => (imported, at) = (true, at + 1),
            "mod" if text(at + 2) == "{" => modules.push(braces + 1),
            _ if tokens[at].is_word() => {
                let mut paths = Vec::new();
                at = expand(tokens, at, &[], &mut paths);
                let depth = modules.len();
                found.extend(paths.into_iter().map(|(segments, line)| Mention {
                    segments,
                    line,
                    depth,
                    imported,
                }));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Writes out the path or group that starts at `at` and returns the index after it.
fn expand(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    paths: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut segments = prefix.to_vec();
    let line = tokens[at].line;
    while text(at) != "{" {
        segments.push(text(at).to_owned());
        let goes_on = text(at + 1) == "::"
            && (tokens.get(at + 2).is_some_and(Token::is_word) || ["{", "*"].contains(&text(at + 2)));
        if !goes_on {
            paths.push((segments, line));
            return at + 1;
        }
        at += 2;
    }
    let end = after_group(tokens, at);
    at += 1;
    while at + 1 < end {
        at = expand(tokens, at, &segments, paths);
        // An alias, then the comma.
        let rest = tokens.get(at..end - 1).unwrap_or_default();
        at += rest.iter().take_while(|token| token.text != ",").count() + 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let texts: Vec<String> = tokens(text).into_iter().map(|token| token.text).collect();
        assert_eq!(texts.join(" "), expected);
    }

    #[track_caller]
    fn check_paths(text: &str, expected: &[&str]) {
        let paths: Vec<String> =
            mentions(&tokens(text)).iter().map(|mention| mention.segments.join("::")).collect();
        let long: Vec<&String> = paths.iter().filter(|path| path.contains("::")).collect();
        assert_eq!(long, expected);
    }

    #[track_caller]
    fn check_functions(text: &str, expected: &[(&str, usize, usize)]) {
        let found = functions(&tokens(text));
        let found: Vec<_> =
            found.iter().map(|function| (function.name.as_str(), function.line, function.lines)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn prose_is_dropped() {
        check("a // b { \" '\n c", "a c");
        check("a /* b /* c */ \" */ d", "a d");
        check("//! a\n/// b\nc", "c");
        check("#[doc = \"a::b\"]", "# [ doc = \"\" ]");
    }

    #[test]
    fn strings_end_where_they_end() {
        check(r#"a "b \" c" d"#, r#"a "" d"#);
        check(r#"a "\\" d"#, r#"a "" d"#);
        check(r##"a r"\" b br#"c " d"# e"##, r#"a "" b "" e"#);
        check(r####"a r##"b "# c"## d"####, r#"a "" d"#);
        check("a \"b\nc\" d", r#"a "" d"#);
    }

    #[test]
    fn characters_and_lifetimes_differ() {
        check("'{' '\\'' '\\u{7b}' '\"' a", r#""" "" "" "" a"#);
        check("fn f<'a>(x: &'a str)", "fn f < > ( x : & str )");
        check("'outer: loop", ": loop");
        check("r#match b'{'", "r # match b \"\"");
    }

    #[test]
    fn an_unfinished_file_is_read_to_its_end() {
        for text in ["\"a", "r#\"a", "/* a", "'\\", "use a::{b", "fn f(", "#["] {
            let tokens = tokens(text);
            assert!(mentions(&tokens).len() < 9 && functions(&tokens).is_empty(), "{text}");
        }
    }

    #[test]
    fn lines_are_counted_through_prose() {
        let last = tokens("/*\n*/ \"\n\" // x\n\n z").pop();
        assert_eq!(last.map(|token| (token.text, token.line)), Some(("z".to_owned(), 5)));
    }

    #[test]
    fn groups_are_written_out() {
        check_paths("use a::{b, c::{d as e, self}, f::*,};", &["a::b", "a::c::d", "a::c::self", "a::f::*"]);
        check_paths("use {a::b, c::d};", &["a::b", "c::d"]);
        check_paths("use ::a::b; $crate::c!(0..d::E)", &["a::b", "crate::c", "d::E"]);
        check_paths("a::b::<c::D>(e)", &["a::b", "c::D"]);
    }

    #[test]
    fn a_function_is_measured_to_its_brace() {
        check_functions("fn a() {\n \"}\" ; '}'; // }\n}", &[("a", 1, 3)]);
        check_functions("\ntrait T { fn a(); fn b(x: [u8; 2]) -> fn(u8) {\n} }", &[("b", 2, 2)]);
        check_functions("fn a()\nwhere\n A: B,\n{ fn b() {\n} }", &[("a", 1, 5), ("b", 4, 2)]);
    }
}
