use super::*;
use crate::Error;

fn compiled(pattern: &str) -> Pattern {
    Pattern::parse(pattern).unwrap_or_else(|error| panic!("{error}"))
}

fn check(pattern: &str, yes: &[&str], no: &[&str]) {
    let compiled = compiled(pattern);
    for (keys, expected) in [(yes, true), (no, false)] {
        for key in keys {
            key::validate(key).unwrap();
            assert_eq!(compiled.matches(key), expected, "{pattern} {key}");
            assert!(!expected || compiled.range().contains(key), "{pattern} {key}");
            assert!(!compiled.is_range() || compiled.range().contains(key) == expected, "{pattern} {key}");
        }
    }
}

#[test]
fn runs() {
    check("*", &["a", "*", r"a\.b", "é"], &["a.b"]);
    check("a*", &["a", "ab", "a*", r"a\.b", r"a\\"], &["ba", "a.b"]);
    check("*a", &["a", "ba", r"\.a", r"\\a"], &["ab", "b.a"]);
    check("a*c", &["ac", "abc", "acc", r"a\.c"], &["a", "c", "a.c", "acb"]);
    check("logs.2024-*", &["logs.2024-01", "logs.2024-"], &["logs.2023-01", "logs.2024-01.x", "logs"]);
    check("*.config.*", &["a.config.b"], &["config.b", "a.config", "a.b.config.c", "a.config.b.c"]);
    check("a*b*c", &["abc", "axbxc", "abbc"], &["ac", "acb"]);
}

#[test]
fn whole_segments() {
    check("**", &["a", "a.b.c", r"\."], &[]);
    check("app.**", &["app.a", "app.a.b", r"app.\."], &["app", "apple", "apple.a", r"app\.a", "a"]);
    check("**.error", &["error", "a.error", "a.b.error"], &["error.a", "anerror", r"a\.error", "a.anerror"]);
    check("a.**.b", &["a.b", "a.x.b", "a.x.y.b", "a.b.b"], &["ab", "a", "b", "a.bb", "a.b.c", r"a.x\.b"]);
    check("**.a.**", &["a.b", "x.a.b.c", "a.a"], &["a", "x.a"]);
    check("**.**", &["a", "a.b"], &[]);
    check("**.*", &["a", "a.b"], &[]);
    check("a.**.**", &["a.b", "a.b.c"], &["a"]);
    check("a.**.**.b", &["a.b", "a.x.b"], &["a"]);
    // Beside other characters.
    check("a**", &["a", "ab", r"a\.b"], &["a.b", "ba"]);
    check("**a.b", &["a.b", "xa.b"], &["x.a.b"]);
    check("a.{b,**}c", &["a.bc", "a.c", "a.xc"], &["a.x.c"]);
    check("{x,}**", &["x", "a.b"], &[]);
    check("***", &["a"], &["a.b"]);
    check("a.**.*.b", &["a.x.b", "a.x.y.b"], &["a.b"]);
}

#[test]
fn characters() {
    check(
        "user.?.name",
        &["user.1.name", "user.é.name", r"user.\..name", r"user.\\.name"],
        &["user.12.name", "user.name"],
    );
    check("a?b", &["axb", "a𝄞b", r"a\.b", r"a\\b"], &["a.b", "ab", "axxb"]);
    check("??", &["ab", r"\.\\"], &["a", r"\.", "a.b", "a.b.c"]);
}

#[test]
fn classes() {
    check("log.[0-9].txt", &["log.0.txt", "log.9.txt"], &["log.a.txt", "log.10.txt"]);
    check("[abc]", &["a", "c"], &["d", "ab"]);
    check("[!abc]", &["d", "!", "é", r"\.", r"\\"], &["a", "d.e"]);
    check("[^abc]", &["d", "^", r"\."], &["a"]);
    check("[a^!]", &["a", "^", "!"], &["b"]);
    check("[]a]", &["]", "a"], &["b"]);
    check("[!]a]", &["b"], &["]", "a"]);
    check("[a-]", &["a", "-"], &["b"]);
    check("[-a]", &["a", "-"], &["b"]);
    check("[a-c-e]", &["b", "-", "e"], &["d"]);
    check(r"[\]\\\-x]", &["]", r"\\", "-", "x"], &["a"]);
    check(r"[a\-c]", &["a", "-", "c"], &["b"]);
    check("[é-ü𝄞]", &["é", "ü", "𝄞"], &["e"]);
    check("[*?{,}]", &["*", "?", "{", ",", "}"], &["a"]);
    check("[--0&&~~]", &["&", "~", "-", "0", "/", r"\."], &["1", "a"]);
    // Dots and backslashes are escaped in keys.
    check("a[.]b", &[r"a\.b"], &["a.b", "axb"]);
    check("a[+-9]b", &[r"a\.b", "a/b", "a+b", "a-b"], &["a.b", "a:b"]);
    check("a[!.]b", &["axb", r"a\\b"], &["a.b", r"a\.b"]);
    check("a[!x]b", &[r"a\.b", r"a\\b"], &["axb", "a.b"]);
    check("a[Z-_]b", &[r"a\\b", "a[b", "aZb"], &[r"a\.b", "a`b"]);
    check(r"a[\\]b", &[r"a\\b"], &["axb", r"a\.b"]);
    check("a[!+-_]b", &["axb"], &[r"a\\b", r"a\.b", "aZb"]);
}

#[test]
fn braces() {
    check("env.{dev,prod}.config", &["env.dev.config", "env.prod.config"], &["env.test.config", "env.config"]);
    check("{a,b{c,d}}e", &["ae", "bce", "bde"], &["be", "abce"]);
    check("a{,.b}", &["a", "a.b"], &["ab", "a.c"]);
    check("{a.b,c}.*", &["a.b.x", "c.x"], &["a.x", "b.x"]);
    check("{a*,[xy]}?", &["ab", "xz"], &["a", "x", "a.b"]);
    check("{**,a}.b", &["b", "x.y.b", "a.b"], &["c"]);
    check("{a.**,b}", &["a.x", "b"], &["a", "b.x"]);
    check("a{}b", &["ab"], &["a{}b"]);
    check("{a}", &["a"], &["{a}"]);
    check("a,b}c]", &["a,b}c]"], &["a"]);
    check(r"{a\,b,c}", &["a,b", "c"], &["a", "b"]);
    check(r"{\{,\}}", &["{", "}"], &["a"]);
    // Two stars that come together from different places are two runs.
    check("{*,a}*", &["x"], &["x.y"]);
}

#[test]
fn escapes() {
    for special in ['*', '?', '[', ']', '{', '}', ',', '!', '-', 'd', 'é'] {
        check(&format!("a\\{special}"), &[&format!("a{special}")], &["ab", "a", "axx"]);
    }
    check(r"a\.b", &[r"a\.b"], &["a.b"]);
    check(r"a\.*", &[r"a\.b", r"a\."], &["a.b"]);
    check(r"a\\b", &[r"a\\b"], &["a.b"]);
    check("(a|b)+$^#&~ ", &["(a|b)+$^#&~ "], &["a"]);
    assert_eq!(escape(r"a.b\*[x]{,}?"), r"a\.b\\\*\[x\]\{\,\}\?");
    assert_eq!(escape_key(r"a.b*\.c"), r"a.b\*\.c");
}

#[test]
fn keys_and_ranges() {
    let range = |from: &str, to: &str| Range { from: Some(from.into()), to: Some(to.into()), after: None };
    for (pattern, expected, is_range) in [
        ("**", Range::default(), true),
        ("**.**", Range::default(), true),
        ("{a,**}", Range::default(), true),
        ("*", Range::default(), false),
        ("**.a", Range::default(), false),
        ("a.**", range("a.", "a/"), true),
        ("a.b.**.**", range("a.b.", "a.b/"), true),
        ("{a,a}.**", range("a.", "a/"), true),
        (r"a\.b\\.**", range(r"a\.b\\.", r"a\.b\\/"), true),
        ("a.*", range("a.", "a/"), false),
        ("ab*", range("ab", "ac"), false),
        ("a.b?", range("a.b", "a.c"), false),
        ("a[bc]", range("a", "b"), false),
        (r"a\.*", range(r"a\.", r"a\/"), false),
        ("a.**.b", range("a.", "a/"), false),
        ("{b,a.x}*", range("a.x", "c"), false),
        ("{b.**,d}", range("b.", "d "), false),
        ("{a,c}.**", range("a.", "c/"), false),
        ("\u{10ffff}*", Range { from: Some("\u{10ffff}".into()), ..Range::default() }, false),
        ("\u{d7ff}*", range("\u{d7ff}", "\u{e000}"), false),
        ("a.b", range("a.b", "a.b "), true),
        ("{a,c}", range("a", "c "), false),
    ] {
        let compiled = compiled(pattern);
        assert_eq!((compiled.range(), compiled.is_range()), (expected, is_range), "{pattern}");
    }
    assert_eq!(compiled(r"a\.b.c\*").exact(), Some(r"a\.b.c*"));
    assert_eq!(compiled("{a,a}").exact(), Some("a"));
    assert_eq!(compiled("a{.c,,.b}").keys().unwrap(), ["a", "a.b", "a.c"]);
    assert_eq!(compiled("{a,b}").exact(), None);
    assert_eq!(compiled("a.*").exact(), None);
    assert_eq!(compiled("a.*").keys(), None);
    assert_eq!(compiled("a.*").text(), "a.*");
}

#[test]
fn bad_patterns_are_named_with_place_and_rule() {
    let long = format!("{}*", "a".repeat(1024));
    for (pattern, at, rule) in [
        ("", 0, "not empty"),
        (&*long, 1024, "at most 1024 bytes"),
        ("a\0", 1, "control"),
        ("é\n*", 2, "control"),
        (".", 0, "a segment"),
        ("a..b", 2, "a segment"),
        ("a.*.", 4, "a segment"),
        (".**", 0, "a segment"),
        ("a.{,b}", 6, "a segment"),
        ("{,a}.b", 4, "a segment"),
        ("{}", 2, "a segment"),
        ("[", 0, "no `]`"),
        ("a[]", 1, "no `]`"),
        ("a[!]", 1, "no `]`"),
        ("a[b", 1, "no `]`"),
        ("a[b-", 1, "no `]`"),
        (r"a[b\", 1, "no `]`"),
        (r"a[b\]", 1, "no `]`"),
        ("[a-c9-0]", 4, "backwards"),
        ("a{b", 1, "no `}`"),
        ("{a{b}", 0, "no `}`"),
        ("{a,{b", 3, "no `}`"),
        (r"a\", 1, "backslash"),
    ] {
        let Err(Error::InvalidArgument(message)) = Pattern::parse(pattern) else { panic!("{pattern}") };
        assert!(message.contains(&format!(": byte {at}: ")) && message.contains(rule), "{pattern}: {message}");
        assert!(message.starts_with("pattern \"") && message.len() < 300, "{message}");
    }
}

#[test]
fn alternatives_are_bounded() {
    let ten = "{0,1,2,3,4,5,6,7,8,9}";
    let thousand = compiled(&format!("{ten}{ten}{ten}*"));
    assert!(thousand.matches("1234") && !thousand.matches("12"));
    let keys = compiled(&format!("{ten}.{ten}.{ten}"));
    assert_eq!(keys.keys().unwrap().len(), 1000);
    for pattern in [
        format!("{ten}{ten}{ten}{{0,1}}"),
        ten.repeat(40),
        format!("{ten}{ten}{ten}{}", "x".repeat(100)),
        format!("{}{ten}{ten}{ten}", "x".repeat(100)),
    ] {
        let Err(Error::InvalidArgument(message)) = Pattern::parse(&pattern) else { panic!("{pattern}") };
        assert!(message.contains("1000 alternatives"), "{message}");
    }
    // Alternatives of many shapes.
    check(
        &format!("{}*", "{?.????????,?.?.????????}".repeat(3)),
        &["a.12345678b.12345678c.12345678", "a.b.12345678c.12345678d.e.12345678xyz"],
        &["a.12345678b.12345678c.1234567", "a.12345678.b"],
    );
    // As deep and as large as a pattern can be.
    assert!(compiled(&format!("{}a{}", "{".repeat(511), "}".repeat(511))).matches("a"));
    assert!(compiled(&format!("{ten}{ten}{ten}{}*", "?".repeat(20))).matches(&"1".repeat(30)));
}

#[test]
fn both_matchers_agree() {
    let keys: Vec<String> =
        ["a", "b", "a.b", "b.a", "a.x.b", r"a\.b", r"a.\\", "é.a", "ab.ba", "a.b.c.d", "aab.b", r"x\..y"]
            .map(String::from)
            .into();
    for pattern in [
        "*.b",
        "**.b",
        "a.**.b",
        "{a,b}.*",
        "{a,b,ab}.{a,ba}{,.*}",
        "?.[!x]",
        r"a[.]*",
        r"*.\\",
        "[!a].*",
        "{a,é}.?",
        "**.[ab].**",
        "*a*b*.*",
        "{?,a?}.b*",
        r"x[!a].**",
        "{a.*,*.a,**.d,x*}",
        r"**.*\.*",
    ] {
        let parsed = parse::parse(pattern).unwrap();
        let segments = Segments::new(parsed.clone());
        let expression = regex_lite::Regex::new(&expression::expression(&parsed)).unwrap();
        for key in &keys {
            assert_eq!(segments.matches(key), expression.is_match(key), "{pattern} {key}");
        }
    }
}

#[test]
fn braces_of_one_segment_cost_no_alternatives() {
    let many = (0..150).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    for (pattern, tried) in [
        (format!("**.{{{many}}}"), 1),
        (format!("a.{{{many}}}.*"), 1),
        ("{a,b,c}.{d,e,f*}.{g,h,i,j}.**".to_owned(), 1),
        // Every alternative of another length.
        (format!("*{}", "{,.a}".repeat(6)), 7),
    ] {
        let Matcher::Segments(segments) = compiled(&pattern).matcher else { panic!("{pattern}") };
        assert_eq!(segments.count(), tried, "{pattern}");
    }
    check(&format!("**.{{{many}}}"), &["149", "a.0", "x.y.77"], &["150", "a.0.b"]);
    check("{a,b,c}.{d,e,f*}.{g,h}.**", &["a.d.g.x", "c.fx.h.y.z"], &["a.d.g", "a.x.g.x", "d.d.g.x"]);
    check(&format!("*{}", "{,.a,.b.c}".repeat(6)), &["x", "x.a.b.c.a", "x.b.c.b.c"], &["x.b", "x.a.c", "x.c"]);
}

#[test]
fn what_is_longer_than_any_key_matches_none() {
    for pattern in ["a".repeat(513), format!("*{}", r"\.".repeat(257)), "a?".repeat(257), "a.".repeat(256) + "*a"] {
        let pattern = compiled(&pattern);
        assert!(
            pattern.is_range() && !pattern.range().contains(" ") && pattern.exact().is_none() && !pattern.matches("a")
        );
    }
    let longest = "a".repeat(512);
    check(&longest, &[&longest], &["a"]);
    check(&format!("{}*", "a?".repeat(256)), &[&longest], &["a"]);
    check(&format!("{{{},b}}", "a".repeat(1000)), &["b"], &["a"]);
}
