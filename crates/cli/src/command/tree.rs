//! `metsuke tree`: who started whom.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use serde_json::Value;

use crate::arguments::{Arguments, Tree};
use crate::client::{Client, query};
use crate::command::alert::checked;
use crate::failure::Failure;
use crate::output::{self, cell};

pub(crate) fn run(
    arguments: &Arguments,
    client: &Client,
    tree: &Tree,
) -> Result<ExitCode, Failure> {
    let answer = if let Some(alert) = &tree.alert {
        client.get(&format!("/api/v1/alerts/{}/tree", checked(alert)?))?
    } else {
        let name = tree.endpoint.as_deref().unwrap_or_default();
        let endpoint = client.endpoint(name)?;
        client.get(&format!(
            "/api/v1/tree{}",
            query(&[
                ("endpoint", endpoint["id"].as_str().map(str::to_owned)),
                ("process", tree.process.clone()),
                ("from", tree.from.clone()),
                ("to", tree.to.clone()),
            ])
        ))?
    };
    if arguments.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    for line in lines(&answer) {
        output::say(&line)?;
    }
    if answer["truncated"] == true {
        output::say("(more processes than one answer holds; narrow the time)")?;
    }
    output::losses(&answer["loss"])?;
    Ok(ExitCode::SUCCESS)
}

/// The tree as lines. A node whose parent is not in the answer stands at the top; a ring of
/// parents, which only a broken server would send, is cut.
fn lines(tree: &Value) -> Vec<String> {
    let nodes = tree["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let uids: BTreeSet<&str> = nodes.iter().filter_map(|node| node["uid"].as_str()).collect();
    let mut children: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    let mut stack: Vec<(usize, &Value)> = Vec::new();
    for node in nodes {
        match node["parent_uid"].as_str().filter(|parent| uids.contains(parent)) {
            Some(parent) => children.entry(parent).or_default().push(node),
            None => stack.push((0, node)),
        }
    }
    stack.reverse();
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    while let Some((depth, node)) = stack.pop() {
        let uid = node["uid"].as_str().unwrap_or_default();
        if !seen.insert(uid) {
            continue;
        }
        lines.push(line(depth, node));
        for child in children.get(uid).into_iter().flatten().rev() {
            stack.push((depth + 1, child));
        }
    }
    lines
}

fn line(depth: usize, node: &Value) -> String {
    let what = if node["cmd_line"].is_null() { &node["exe"] } else { &node["cmd_line"] };
    let hits: Vec<String> = node["hits"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|hit| format!("[{} {}]", cell(&hit["level"]), cell(&hit["title"])))
        .collect();
    let indent = "  ".repeat(depth);
    format!("{indent}{} {} {}", cell(&node["pid"]), cell(what), hits.join(" "))
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn children_stand_below_their_parent_and_rings_end() {
        let node = |uid: &str, parent: Option<&str>, pid: u32| json!({"uid": uid, "parent_uid": parent, "pid": pid, "cmd_line": uid, "hits": []});
        let tree = json!({"nodes": [node("c", Some("a"), 3), node("a", Some("gone"), 1),
            node("b", Some("a"), 2), node("d", Some("c"), 4)]});
        assert_eq!(super::lines(&tree), ["1 a", "  3 c", "    4 d", "  2 b"]);
        let ring = json!({"nodes": [node("a", Some("b"), 1), node("b", Some("a"), 2)]});
        assert!(super::lines(&ring).is_empty());
    }
}
