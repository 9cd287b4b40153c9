//! Placeholders: `%name%` in a value of the modifier `expand`, and the site's values for them.
//!
//! `\%` is a percent sign. A placeholder with several values makes as many values, of which one
//! has to match; several placeholders in one value are multiplied.

use std::collections::BTreeMap;

use crate::bounds;
use crate::document::Reason;
use crate::sigma::pattern::{Part, Pattern};

/// The values of placeholders by name (without the percent signs), in Sigma's notation: wildcards
/// and escapes mean what they mean in a rule.
pub(crate) type Placeholders = BTreeMap<String, Vec<String>>;

/// How a placeholder's value is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Plain,
    /// Into a regular expression: its wildcards become expressions, everything else is literal.
    Regex,
}

/// `text` with each placeholder replaced by each of its values.
pub(crate) fn expand(text: &str, form: Form, known: &Placeholders) -> Result<Vec<String>, Reason> {
    let mut found = vec![String::new()];
    let push = |found: &mut Vec<String>, text: &str| {
        for one in found {
            one.push_str(text);
        }
    };
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let before = &rest[..at];
        if let Some(before) = before.strip_suffix('\\') {
            push(&mut found, before);
            push(&mut found, "%");
            rest = &rest[at + 1..];
            continue;
        }
        push(&mut found, before);
        rest = &rest[at + 1..];
        let Some(name) = name(rest) else {
            push(&mut found, "%");
            continue;
        };
        let values = known.get(name).filter(|values| !values.is_empty());
        let values = values.ok_or_else(|| Reason::Placeholder(name.to_owned()))?;
        if found.len() * values.len() > bounds::PLACEHOLDER_VALUES {
            return Err(Reason::TooLarge("values of placeholders"));
        }
        let values: Vec<String> = values.iter().map(|value| form.of(value)).collect();
        found = found
            .iter()
            .flat_map(|one| values.iter().map(move |value| format!("{one}{value}")))
            .collect();
        rest = &rest[name.len() + 1..];
    }
    push(&mut found, rest);
    Ok(found)
}

/// The name that ends with the next percent sign, when it is one.
fn name(rest: &str) -> Option<&str> {
    let (name, _) = rest.split_once('%')?;
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(word)).then_some(name)
}

impl Form {
    fn of(self, value: &str) -> String {
        match self {
            Self::Plain => value.to_owned(),
            Self::Regex => {
                let parts = Pattern::parse(value).0;
                let parts = parts.iter().map(|part| match part {
                    Part::Text(text) => regex::escape(text),
                    Part::Any => ".*".to_owned(),
                    Part::One => ".".to_owned(),
                });
                parts.collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Placeholders, expand};

    #[test]
    fn values_are_put_in_and_multiplied() {
        let known: Placeholders = [("a", vec!["1", "2*"]), ("b", vec!["x."]), ("none", vec![])]
            .map(|(name, values)| {
                (name.to_owned(), values.into_iter().map(str::to_owned).collect())
            })
            .into();
        let check = |text: &str, form, expected: &[&str]| {
            let found = match expand(text, form, &known) {
                Ok(found) => found,
                Err(reason) => vec![format!("{}", reason.code())],
            };
            assert_eq!(found, expected, "{text}");
        };
        check("plain", Form::Plain, &["plain"]);
        check("%a%", Form::Plain, &["1", "2*"]);
        check("-%a%-%b%-", Form::Plain, &["-1-x.-", "-2*-x.-"]);
        check("^%a%%b%$", Form::Regex, &[r"^1x\.$", r"^2.*x\.$"]);
        check(r"\%a%b%", Form::Plain, &["%ax."]);
        check("100 %", Form::Plain, &["100 %"]);
        check("5% or 6% more", Form::Plain, &["5% or 6% more"]);
        check("%c%", Form::Plain, &["placeholder"]);
        check("%none%", Form::Plain, &["placeholder"]);
    }
}
