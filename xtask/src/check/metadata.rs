//! What cargo knows of the workspace and everything it depends on.

use std::collections::HashSet;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{build, steps};

/// The machine kind whose dependencies are looked at: the one the product is made for.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

#[derive(Deserialize)]
pub(super) struct Metadata {
    /// Every package, ours and others'.
    pub(super) packages: Vec<Package>,
    /// The ids of ours.
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    id: String,
    pub(super) license: Option<String>,
    pub(super) license_file: Option<String>,
    pub(super) manifest_path: String,
    pub(super) dependencies: Vec<Dependency>,
    metadata: Option<serde_json::Value>,
}

#[derive(Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    pub(super) kind: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
}

impl Metadata {
    /// Asks cargo.
    pub(super) fn load() -> Result<Self> {
        let text = steps::output(
            build::cargo("metadata")
                .args(["--format-version", "1", "--filter-platform", PLATFORM])
                .args(build::locked()),
        )?;
        serde_json::from_str(&text).context("cargo metadata printed something unexpected")
    }

    /// The packages of this workspace.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The packages of others that are part of the graph.
    pub(super) fn others(&self) -> impl Iterator<Item = &Package> {
        let resolved: HashSet<_> = self.resolve.nodes.iter().map(|node| node.id.as_str()).collect();
        self.packages.iter().filter(move |package| {
            resolved.contains(package.id.as_str()) && !self.workspace_members.contains(&package.id)
        })
    }
}

impl Package {
    /// The layer it declares in `[package.metadata.metsuke]`.
    pub(super) fn layer(&self) -> Option<&str> {
        self.metadata.as_ref()?.get("metsuke")?.get("layer")?.as_str()
    }
}
