//! Other security products, known by their processes, packages, units and kernel modules.

use std::collections::BTreeSet;

use metsuke_event::inventory::Product;

/// One product and its marks: names of processes, packages, systemd units and modules.
struct Known {
    name: &'static str,
    vendor: &'static str,
    category: &'static str,
    processes: &'static [&'static str],
    packages: &'static [&'static str],
    units: &'static [&'static str],
    modules: &'static [&'static str],
}

macro_rules! known {
    ($($name:literal $vendor:literal $category:literal [$($process:literal)*] [$($package:literal)*]
        [$($unit:literal)*] [$($module:literal)*];)*) => {
        &[$(Known {
            name: $name, vendor: $vendor, category: $category, processes: &[$($process),*],
            packages: &[$($package),*], units: &[$($unit),*], modules: &[$($module),*],
        }),*]
    };
}

#[rustfmt::skip]
const PRODUCTS: &[Known] = known! {
    "Falcon Sensor" "CrowdStrike" "edr" ["falcon-sensor" "falcond" "falcon-sensor-b"] ["falcon-sensor"] ["falcon-sensor"] ["falcon_lsm_serviceable" "falcon_kal"];
    "Defender for Endpoint" "Microsoft" "edr" ["wdavdaemon" "mdatp"] ["mdatp"] ["mdatp"] [];
    "Singularity" "SentinelOne" "edr" ["s1-agent" "s1-orchestrator" "sentinelone-agent"] ["sentinelagent"] ["sentinelone"] [];
    "Carbon Black" "Broadcom" "edr" ["cbagentd" "cbdaemon" "event_collector"] ["cb-psc-sensor" "cbsensor"] ["cbagentd" "cbdaemon"] ["event_collector" "cbproxy"];
    "Cortex XDR" "Palo Alto Networks" "edr" ["traps_pmd" "pmd" "trapsd"] ["cortex-agent" "cortex"] ["traps_pmd"] [];
    "Deep Security / Vision One" "Trend Micro" "edr" ["ds_agent" "ds_am" "tmxbc"] ["ds-agent"] ["ds_agent"] ["bmhook" "tmhook" "dsa_filter"];
    "Sophos Protection" "Sophos" "edr" ["sophos_managementagent" "savd" "sophos_threat_detector"] ["sophos-spl"] ["sophos-spl"] ["talpa_syscallhook"];
    "Elastic Defend" "Elastic" "edr" ["elastic-endpoint" "elastic-agent"] ["elastic-agent"] ["elastic-agent" "ElasticEndpoint"] [];
    "Cybereason" "Cybereason" "edr" ["cybereason-sensor" "CybereasonSensor"] ["cybereason-sensor"] ["cybereason-sensor"] [];
    "Trellix / FireEye" "Trellix" "edr" ["xagt" "mfetpd" "masvc"] ["xagt" "McAfeeTP"] ["xagt" "mfetpd"] ["mfe_fileaccess"];
    "Secure Endpoint" "Cisco" "edr" ["ampdaemon"] ["ciscoampconnector"] ["cisco-amp"] ["ampnetworkflow" "ampfsm"];
    "GravityZone" "Bitdefender" "edr" ["bdsecd" "epagd"] ["bitdefender-security-tools"] ["bdsec"] [];
    "Endpoint Security" "Kaspersky" "edr" ["kesl" "kesl-supervisor"] ["kesl"] ["kesl" "kesl-supervisor"] [];
    "Endpoint Antivirus" "ESET" "antivirus" ["eea" "odfeeder" "scand"] ["eea" "efs"] ["eea" "efs"] ["eset_rtp"];
    "Symantec Endpoint Protection" "Broadcom" "antivirus" ["sisamdagent" "sisipsdaemon"] ["sdcss-kmod" "sdcss"] ["sisamdagent"] ["sisap" "sisfim"];
    "ClamAV" "Cisco Talos" "antivirus" ["clamd" "freshclam" "clamonacc"] ["clamav-daemon" "clamav" "clamd"] [] [];
    "Wazuh" "Wazuh" "edr" ["wazuh-agentd" "wazuh-syscheckd"] ["wazuh-agent"] ["wazuh-agent"] [];
    "OSSEC" "OSSEC" "integrity" ["ossec-agentd" "ossec-syscheckd"] ["ossec-hids-agent"] ["ossec"] [];
    "osquery" "osquery" "audit" ["osqueryd"] ["osquery"] ["osqueryd"] [];
    "Velociraptor" "Rapid7" "edr" ["velociraptor"] ["velociraptor-client"] ["velociraptor_client"] [];
    "Insight Agent" "Rapid7" "edr" ["ir_agent"] [] ["ir_agent"] [];
    "Tanium Client" "Tanium" "management" ["TaniumClient"] ["TaniumClient" "taniumclient"] ["taniumclient"] [];
    "Cloud Agent" "Qualys" "management" ["qualys-cloud-agent" "qualys-cloud-ag"] ["qualys-cloud-agent"] ["qualys-cloud-agent"] [];
    "Nessus Agent" "Tenable" "management" ["nessusd" "nessus-service"] ["NessusAgent" "nessusagent"] ["nessusagent"] [];
    "Falco" "CNCF" "edr" ["falco"] ["falco"] ["falco" "falco-modern-bpf"] ["falco"];
    "Tetragon" "Isovalent" "edr" ["tetragon"] ["tetragon"] ["tetragon"] [];
    "Tracee" "Aqua" "edr" ["tracee" "tracee-ebpf"] [] ["tracee"] [];
    "Sysdig Agent" "Sysdig" "edr" ["dragent"] ["draios-agent"] ["dragent"] ["sysdigcloud_probe"];
    "Sysmon for Linux" "Microsoft" "audit" ["sysmon"] ["sysmonforlinux"] ["sysmon"] [];
    "Auditd" "Linux Audit" "audit" ["auditd"] ["auditd" "audit"] ["auditd"] [];
    "Auditbeat" "Elastic" "audit" ["auditbeat"] ["auditbeat"] ["auditbeat"] [];
    "Laurel" "Laurel" "audit" ["laurel"] ["laurel"] [] [];
    "AIDE" "AIDE" "integrity" ["aide"] ["aide"] ["dailyaidecheck"] [];
    "Samhain" "Samhain" "integrity" ["samhain"] ["samhain"] ["samhain"] [];
    "Tripwire" "Fortra" "integrity" ["tripwire" "twagent"] ["tripwire"] ["twdaemon"] [];
    "rkhunter" "rkhunter" "integrity" ["rkhunter"] ["rkhunter"] [] [];
    "chkrootkit" "chkrootkit" "integrity" ["chkrootkit"] ["chkrootkit"] [] [];
    "Suricata" "OISF" "network" ["suricata" "Suricata-Main"] ["suricata"] ["suricata"] [];
    "Snort" "Cisco" "network" ["snort"] ["snort"] ["snort"] [];
    "Zeek" "Zeek" "network" ["zeek"] ["zeek" "zeek-core"] ["zeek"] [];
    "Fail2ban" "Fail2ban" "hardening" ["fail2ban-server"] ["fail2ban"] ["fail2ban"] [];
    "USBGuard" "USBGuard" "hardening" ["usbguard-daemon"] ["usbguard"] ["usbguard"] [];
    "fapolicyd" "fapolicyd" "hardening" ["fapolicyd"] ["fapolicyd"] ["fapolicyd"] [];
};

/// What the host shows, by name.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Short names of processes and the last parts of their executables' paths.
    pub(crate) processes: BTreeSet<String>,
    pub(crate) packages: BTreeSet<String>,
    /// Units, without `.service`.
    pub(crate) units: BTreeSet<String>,
    pub(crate) modules: BTreeSet<String>,
}

/// The products these marks tell of.
pub(crate) fn products(marks: &Marks) -> Vec<Product> {
    let found = |kind: &str, names: &[&str], seen: &BTreeSet<String>| -> Vec<String> {
        let hits = names.iter().filter(|name| seen.contains(**name));
        hits.map(|name| format!("{kind} {name}")).collect()
    };
    PRODUCTS
        .iter()
        .filter_map(|known| {
            let mut evidence = found("process", known.processes, &marks.processes);
            let running = !evidence.is_empty();
            evidence.extend(found("package", known.packages, &marks.packages));
            evidence.extend(found("unit", known.units, &marks.units));
            evidence.extend(found("module", known.modules, &marks.modules));
            (!evidence.is_empty()).then(|| Product {
                name: known.name.to_owned(),
                vendor: known.vendor.to_owned(),
                category: known.category.to_owned(),
                running,
                evidence,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Marks, PRODUCTS, products};
    use std::collections::BTreeSet;

    #[test]
    fn a_product_is_named_with_what_it_was_known_by() {
        let set = |name: &str| BTreeSet::from([name.to_owned()]);
        let marks =
            Marks { processes: set("falcon-sensor"), packages: set("clamav"), ..Marks::default() };
        let found = products(&marks);
        let of = |name: &str| found.iter().find(|one| one.name == name).expect(name);
        assert_eq!(found.len(), 2);
        assert!(of("Falcon Sensor").running);
        assert_eq!(of("Falcon Sensor").evidence, ["process falcon-sensor"]);
        assert!(!of("ClamAV").running, "installed is not running");
        assert!(products(&Marks::default()).is_empty());
    }

    #[test]
    fn each_product_stands_in_the_table_once() {
        let names: BTreeSet<_> = PRODUCTS.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), PRODUCTS.len());
    }
}
