//! The benign twin: the intrusion's tools, used as people use them at work.
//!
//! It downloads into a project, packs it, decodes a picture, asks once who it is, edits its own
//! files and removes its build folder. A detector that speaks up here speaks too easily.

use crate::intrusion::has;
use crate::scene::{Ports, Scene, Step};
use crate::seed::Choices;
use crate::shell::REPORTER;

/// The steps, in the order in which they are to run.
pub fn steps(scene: &Scene, ports: Ports, mut choices: Choices) -> Vec<Step> {
    let project = scene.work.display().to_string();
    let home = scene.home.display().to_string();
    let logs = scene.logs.display().to_string();
    let name = choices.name();
    let url = format!("http://127.0.0.1:{}/{name}.json", ports.http);
    let fetch = if has("curl") {
        format!("r curl -fsSL -o {project}/{name}.json {url}")
    } else {
        format!("r wget -q -O {project}/{name}.json {url}")
    };
    let ordinary = |name: &'static str, script: Vec<String>| Step {
        name,
        tactics: &[],
        techniques: &[],
        script,
    };
    let mut middle = vec![
        ordinary("fetch-data", vec![fetch]),
        ordinary(
            "encode-picture",
            vec![
                format!("r base64 {project}/logo.bin > {project}/logo.b64"),
                format!("r base64 -d {project}/logo.b64 > {project}/logo.copy"),
                format!("r cmp {project}/logo.bin {project}/logo.copy"),
            ],
        ),
        ordinary("who-am-i", vec!["r id".into(), "r uname -r".into()]),
        ordinary("look-up-user", vec!["r grep -c root /etc/passwd".into()]),
        ordinary(
            "edit-own-files",
            vec![
                format!("echo '0 4 * * * make nightly' > {project}/crontab.txt"),
                format!("r sed -i s/nightly/weekly/ {project}/crontab.txt"),
                format!("r touch {project}/main.c"),
            ],
        ),
        ordinary(
            "build",
            vec![
                format!(
                    "printf '%s\\n' '#!/bin/sh' {} 'r true' > {project}/build.sh",
                    quoted(REPORTER)
                ),
                format!("r mkdir -p {project}/build"),
                format!("r sh {project}/build.sh"),
                format!("r perl -e 'print 42' > {project}/build/answer"),
            ],
        ),
        ordinary("rotate-own-log", vec![format!("r truncate -s 0 {logs}/build.log")]),
    ];
    choices.shuffle(&mut middle);
    let upload = format!("http://127.0.0.1:{}/status", ports.http);
    let report = if has("curl") {
        format!("r curl -fsS -H 'Content-Type: application/json' -d '{{\"ok\":true}}' {upload}")
    } else {
        format!("r wget -q -O /dev/null {upload}")
    };
    middle.extend([
        ordinary(
            "pack-project",
            vec![format!("r tar czf {home}/project-{name}.tgz -C {home} project")],
        ),
        ordinary("report-status", vec![report]),
        ordinary("remove-build", vec![format!("r rm -rf {project}/build")]),
    ]);
    middle
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
