//! Rust source taken apart: what is code, what is comment, what is text in quotes, and which lines are tests. Not a
//! parser: enough for the checks beside it.

/// One line of a file, each character in one of three strings; the two others have a blank in its place.
#[derive(Clone, Default)]
pub struct Line {
    pub number: usize,
    pub code: String,
    pub comment: String,
    pub quoted: String,
    /// Within an item behind `#[cfg(test)]`, or in a file of tests.
    pub is_test: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Code,
    LineComment,
    BlockComment(usize),
    /// Between quotes; the number of `#`, if it is a raw string.
    Quotes(Option<usize>),
}

pub fn lines(path: &str, text: &str) -> Vec<Line> {
    let mut lines = split(text);
    let is_test_file = path.split('/').any(|part| matches!(part, "tests" | "tests.rs"));
    mark_tests(&mut lines, is_test_file);
    lines
}

fn split(text: &str) -> Vec<Line> {
    let characters: Vec<char> = text.chars().collect();
    let mut lines = vec![Line { number: 1, ..Line::default() }];
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        if rest[0] == '\n' {
            if inside == Inside::LineComment {
                inside = Inside::Code;
            }
            lines.push(Line { number: lines.len() + 1, ..Line::default() });
            at += 1;
            continue;
        }
        let (taken, now, then) = step(inside, rest, at.checked_sub(1).map(|before| characters[before]));
        let line = lines.last_mut().expect("there is always a line");
        for &character in rest[..taken].iter().filter(|&&character| character != '\n') {
            line.code.push(if now == Inside::Code { character } else { ' ' });
            line.comment.push(if matches!(now, Inside::LineComment | Inside::BlockComment(_)) {
                character
            } else {
                ' '
            });
            line.quoted.push(if matches!(now, Inside::Quotes(_)) { character } else { ' ' });
        }
        inside = then;
        at += taken;
    }
    lines
}

/// How many characters come next, what they belong to, and what follows them.
fn step(inside: Inside, rest: &[char], before: Option<char>) -> (usize, Inside, Inside) {
    let starts = |what: &str| what.chars().zip(rest).filter(|(a, b)| a == *b).count() == what.len();
    match inside {
        Inside::Code if starts("//") => (2, Inside::LineComment, Inside::LineComment),
        Inside::Code if starts("/*") => (2, Inside::BlockComment(1), Inside::BlockComment(1)),
        Inside::Code if rest[0] == '"' => (1, inside, Inside::Quotes(None)),
        Inside::Code if rest[0] == 'r' && !before.is_some_and(|it| it.is_alphanumeric() && it != 'b' || it == '_') => {
            let hashes = rest[1..].iter().take_while(|&&it| it == '#').count();
            match rest.get(1 + hashes) {
                Some('"') => (2 + hashes, inside, Inside::Quotes(Some(hashes))),
                _ => (1, inside, inside),
            }
        }
        Inside::Code if starts("'\\") => {
            let end = rest[2..].iter().skip(1).position(|&it| it == '\'').map_or(2, |end| end + 4);
            (end, inside, inside)
        }
        // A character such as '"', not a lifetime.
        Inside::Code if rest[0] == '\'' && rest.get(2) == Some(&'\'') => (3, Inside::Quotes(None), inside),
        Inside::Code | Inside::LineComment => (1, inside, inside),
        Inside::BlockComment(1) if starts("*/") => (2, inside, Inside::Code),
        Inside::BlockComment(depth) if starts("*/") => (2, inside, Inside::BlockComment(depth - 1)),
        Inside::BlockComment(depth) if starts("/*") => (2, inside, Inside::BlockComment(depth + 1)),
        Inside::BlockComment(_) => (1, inside, inside),
        Inside::Quotes(None) if rest[0] == '\\' && rest.get(1) != Some(&'\n') => (rest.len().min(2), inside, inside),
        Inside::Quotes(None) if rest[0] == '"' => (1, Inside::Code, Inside::Code),
        Inside::Quotes(Some(hashes))
            if rest[0] == '"' && rest[1..].iter().take_while(|&&it| it == '#').count() >= hashes =>
        {
            (1 + hashes, Inside::Code, Inside::Code)
        }
        Inside::Quotes(_) => (1, inside, inside),
    }
}

fn mark_tests(lines: &mut [Line], is_test_file: bool) {
    let mut within = false;
    let mut opened = false;
    let mut depth = 0_usize;
    for line in lines {
        if !within && line.code.contains("#[cfg(test)]") {
            (within, opened, depth) = (true, false, 0);
        }
        line.is_test = within || is_test_file;
        if !within {
            continue;
        }
        for character in line.code.chars() {
            match character {
                '{' => (depth, opened) = (depth + 1, true),
                '}' => depth = depth.saturating_sub(1),
                ';' if depth == 0 => opened = true,
                _ => {}
            }
        }
        within = !opened || depth > 0;
    }
}

#[test]
fn a_file_is_taken_apart() {
    let text = "let a = \"told // no\"; // told\n/* x\n/* y */ z */ fn f<'a>() { '\"' }\nlet r = r#\"a\"b\"#;\n\
                #[cfg(test)]\nmod t {\n    fn g() {}\n}\nfn h() { '\\'' }\n";
    let lines = lines("src/x.rs", text);
    assert_eq!(lines[0].quoted.trim(), "told // no");
    assert_eq!(lines[0].comment.trim(), "// told");
    assert_eq!(lines[2].comment.split_whitespace().collect::<String>(), "/*y*/z*/");
    assert!(lines[2].code.contains("fn f<'a>()"));
    assert_eq!(lines[3].quoted.trim(), "a\"b");
    let tests: Vec<usize> = lines.iter().filter(|line| line.is_test).map(|line| line.number).collect();
    assert_eq!(tests, [5, 6, 7, 8]);
    assert_eq!(lines[8].code, "fn h() { '\\'' }");
}
