//! Compiling rules; each that does not compile, or would be too slow, is refused by name.

use yara_x::{Compiler, Rules, SourceCode};

use crate::words::Refused;

/// Most refusals told one by one.
const REFUSED_MAX: usize = 1_000;
/// Longest reason, in bytes.
const WHY_MAX: usize = 300;

/// Compiles `sources`; what is refused does not keep the rest from being used.
pub(crate) fn compile(sources: &[String]) -> (Rules, Vec<Refused>) {
    let mut compiler = Compiler::new();
    compiler.enable_includes(false).error_on_slow_pattern(true).error_on_slow_loop(true);
    let mut refused = Vec::new();
    for source in sources {
        let before = compiler.errors().len();
        // The first error is among those that are read below.
        let _ = compiler.add_source(SourceCode::from(source.as_str()));
        for error in &compiler.errors()[before..] {
            if refused.len() >= REFUSED_MAX {
                break;
            }
            let at = error.labels().next().map(|label| label.span().start());
            let mut why = error.title().to_owned();
            if let Some(label) = error.labels().next() {
                why = format!("{why}: {}", label.text());
            }
            let mut end = why.len().min(WHY_MAX);
            while !why.is_char_boundary(end) {
                end -= 1;
            }
            why.truncate(end);
            let rule = at.and_then(|at| rule_at(source, at)).unwrap_or_default().to_owned();
            refused.push(Refused { rule, code: error.code().to_owned(), why });
        }
    }
    (compiler.build(), refused)
}

/// The name of the rule that stands at byte `at` of `source`: the last `rule NAME` that begins
/// before it. (An error lies at or behind its rule's name.)
fn rule_at(source: &str, at: usize) -> Option<&str> {
    let mut found = None;
    let mut words = source
        .split(|c: char| c.is_whitespace() || matches!(c, ':' | '{' | '}'))
        .filter(|word| !word.is_empty());
    let place = |word: &str| word.as_ptr() as usize - source.as_ptr() as usize;
    while let Some(word) = words.next() {
        if place(word) > at {
            break;
        }
        if word == "rule" {
            let Some(name) = words.next() else { break };
            if place(word) <= at {
                found = Some(name);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{compile, rule_at};

    #[test]
    fn the_rule_of_an_error_is_named_and_the_others_are_used() {
        let source = "rule good { strings: $a = \"longer\" condition: $a }\n\
                      private rule bad : tag { condition: $missing }\n\
                      rule also_good { condition: true }";
        let (rules, refused) = compile(&[source.to_owned()]);
        assert_eq!(rules.iter().len(), 2);
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].rule, "bad");
        assert!(!refused[0].why.is_empty() && refused[0].code.starts_with('E'), "{refused:?}");
    }

    #[test]
    fn a_rule_that_would_be_slow_is_refused() {
        let source = "rule slow { strings: $a = { 00 [1-10] 01 } condition: $a }\n\
                      rule fine { strings: $a = \"abcdefgh\" condition: $a }";
        let (rules, refused) = compile(&[source.to_owned()]);
        assert_eq!(rules.iter().len(), 1, "{refused:?}");
        assert_eq!(refused[0].rule, "slow");
    }

    #[test]
    fn files_cannot_be_included() {
        let (_, refused) = compile(&["include \"/etc/passwd\"".to_owned()]);
        assert_eq!(refused.len(), 1);
    }

    #[test]
    fn the_last_rule_before_a_place_is_found() {
        let source = "rule a{condition:true} rule b:x {condition:true}";
        assert_eq!(rule_at(source, 10), Some("a"));
        assert_eq!(rule_at(source, 40), Some("b"));
        assert_eq!(rule_at("import \"x\"", 3), None);
    }
}
