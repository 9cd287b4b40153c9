//! One line of an audit log: `type=… msg=audit(TIME:SERIAL): name=value …`.

use metsuke_event::time::Timestamp;
use metsuke_event::value::Text;

use crate::bounds;

/// What the records of one event have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) time: Timestamp,
    serial: u64,
    /// `node=`, where the log is of several hosts.
    pub(super) node: Option<Text>,
}

/// A record.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) kind: Text,
    pub(super) stamp: Stamp,
    /// Fields in the order of the line, decoded.
    pub(super) fields: Vec<(Text, Text)>,
}

impl Line {
    /// The value of field `name`.
    pub(super) fn get(&self, name: &str) -> Option<&Text> {
        self.fields.iter().find(|(of, _)| **of == *name).map(|(_, value)| value)
    }

    /// Whether nothing more comes of its event.
    pub(super) fn ends_event(&self) -> bool {
        const ALONE: [&str; 11] = [
            "USER_", "CRED_", "SERVICE_", "DAEMON_", "SYSTEM_", "ADD_", "DEL_", "GRP_", "ACCT_",
            "CRYPTO_", "USYS_",
        ];
        matches!(&*self.kind, "EOE" | "PROCTITLE")
            || ALONE.iter().any(|prefix| self.kind.starts_with(prefix))
    }
}

/// Reads a line.
pub(super) fn parse(number: u64, text: &str) -> Result<Line, String> {
    let broken = |what: &str| format!("no record of auditd: {what}");
    let (before, rest) = text.split_once("type=").ok_or_else(|| broken("`type=` is missing"))?;
    let (kind, rest) = rest.split_once(' ').ok_or_else(|| broken("it ends after its type"))?;
    let (_, rest) = rest.split_once("audit(").ok_or_else(|| broken("`msg=audit(` is missing"))?;
    let (stamp, rest) = rest.split_once(')').ok_or_else(|| broken("its time has no end"))?;
    let node = before.split_once("node=").and_then(|(_, node)| node.split_whitespace().next());
    let stamp = read_stamp(stamp, node).ok_or_else(|| broken("its time cannot be read"))?;
    if kind.is_empty() || kind.len() > 64 {
        return Err(broken("its type cannot be read"));
    }
    let mut fields = Vec::new();
    let rest = rest.trim_start_matches(':');
    // Behind the separator stand the numbers again, by name.
    let (raw, named) = rest.split_once('\u{1d}').unwrap_or((rest, ""));
    read_fields(kind, raw, &mut fields);
    read_fields(kind, named, &mut fields);
    join_split_arguments(&mut fields);
    Ok(Line { number, kind: kind.into(), stamp, fields })
}

fn read_stamp(text: &str, node: Option<&str>) -> Option<Stamp> {
    let (time, serial) = text.split_once(':')?;
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let millis = seconds.parse::<i64>().ok()?.checked_mul(1_000)?.checked_add(millis)?;
    Some(Stamp {
        time: Timestamp::from_millis(millis),
        serial: serial.parse().ok()?,
        node: node.map(Text::from),
    })
}

fn read_fields(kind: &str, mut rest: &str, fields: &mut Vec<(Text, Text)>) {
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        let Some(at) = rest.find('=') else { return };
        // A word without a value stands before the name.
        let name = rest[..at].rsplit(' ').next().unwrap_or_default();
        let after = &rest[at + 1..];
        let (value, left) = match after.as_bytes().first() {
            Some(b'"') => split_at_quote(&after[1..], '"'),
            Some(b'\'') => split_at_quote(&after[1..], '\''),
            _ => after.split_once(' ').unwrap_or((after, "")),
        };
        rest = left;
        if fields.len() >= bounds::FIELDS {
            return;
        }
        if name == "msg" {
            read_fields(kind, value, fields);
        } else if after.starts_with(['"', '\'']) {
            fields.push((name.into(), value.into()));
        } else {
            fields.push((name.into(), decoded(kind, name, value)));
        }
    }
}

fn split_at_quote(text: &str, quote: char) -> (&str, &str) {
    text.split_once(quote).unwrap_or((text, ""))
}

/// A value without quotes; of a field that programs have a say in it is hexadecimal when it holds
/// what would not go in quotes.
fn decoded(kind: &str, name: &str, value: &str) -> Text {
    let argument = kind == "EXECVE"
        && name.starts_with('a')
        && name.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
        && !name.ends_with("_len");
    let free = argument
        || matches!(
            name,
            "name"
                | "comm"
                | "exe"
                | "cwd"
                | "proctitle"
                | "key"
                | "path"
                | "cmd"
                | "acct"
                | "data"
                | "dir"
                | "file"
                | "old-comm"
                | "vm"
                | "unit"
        );
    if free && let Some(bytes) = unhex(value) {
        // Arguments stand with nulls between them in `proctitle`, keys with 0x01.
        let text = String::from_utf8_lossy(&bytes);
        let separator = if name == "proctitle" { ' ' } else { '\u{fffd}' };
        return text.trim_end_matches('\0').replace('\0', &separator.to_string()).into();
    }
    value.into()
}

/// The bytes that `text` writes in hexadecimal.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Long arguments come in parts: `a1_len=… a1[0]=… a1[1]=…`.
fn join_split_arguments(fields: &mut Vec<(Text, Text)>) {
    if !fields.iter().any(|(name, _)| name.ends_with(']')) {
        return;
    }
    let mut joined: Vec<(Text, String)> = Vec::new();
    for (name, value) in std::mem::take(fields) {
        match name.split_once('[') {
            Some((argument, _)) if name.ends_with(']') => match joined.last_mut() {
                Some((last, text)) if **last == *argument => text.push_str(&value),
                _ => joined.push((argument.into(), value.to_string())),
            },
            _ => joined.push((name, value.to_string())),
        }
    }
    *fields = joined.into_iter().map(|(name, value)| (name, value.into())).collect();
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn values_are_decoded() {
        let line = parse(
            1,
            "node=web type=EXECVE msg=audit(1604996384.965:93777): argc=3 a0=\"sh\" a1=2D63 \
             a2_len=9 a2[0]=6563686F20 a2[1]=22686922",
        )
        .expect("a line");
        let get = |name: &str| line.get(name).map(ToString::to_string);
        assert_eq!(get("a0").as_deref(), Some("sh"));
        assert_eq!(get("a1").as_deref(), Some("-c"));
        assert_eq!(get("a2").as_deref(), Some("echo \"hi\""));
        assert_eq!(line.stamp.node.as_deref(), Some("web"));
        assert_eq!(line.stamp.time.to_string(), "2020-11-10T08:19:44.965Z");
    }

    #[test]
    fn what_user_programs_wrote_is_read_too() {
        let text = "type=USER_LOGIN msg=audit(1.5:7): pid=9 uid=0 msg='op=login acct=\"joe\" \
                    exe=\"/usr/sbin/sshd\" addr=192.0.2.7 res=failed'\u{1d}UID=\"root\"";
        let line = parse(1, text).expect("a line");
        let get = |name: &str| line.get(name).map(ToString::to_string);
        assert_eq!(get("acct").as_deref(), Some("joe"));
        assert_eq!(get("res").as_deref(), Some("failed"));
        assert_eq!(get("UID").as_deref(), Some("root"));
        assert!(parse(1, "type=X msg=audit(x:y): a=b").is_err());
    }
}
