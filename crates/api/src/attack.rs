//! Names of ATT&CK techniques (MITRE ATT&CK, enterprise): those that shipped content speaks of,
//! and their parents. A technique without a name here is shown by its id.

const NAMES: &[(&str, &str)] = &[
    ("T1003", "OS Credential Dumping"),
    ("T1003.008", "/etc/passwd and /etc/shadow"),
    ("T1005", "Data from Local System"),
    ("T1007", "System Service Discovery"),
    ("T1016", "System Network Configuration Discovery"),
    ("T1018", "Remote System Discovery"),
    ("T1027", "Obfuscated Files or Information"),
    ("T1033", "System Owner/User Discovery"),
    ("T1036", "Masquerading"),
    ("T1036.005", "Match Legitimate Resource Name or Location"),
    ("T1037", "Boot or Logon Initialization Scripts"),
    ("T1041", "Exfiltration Over C2 Channel"),
    ("T1046", "Network Service Discovery"),
    ("T1048", "Exfiltration Over Alternative Protocol"),
    ("T1048.003", "Exfiltration Over Unencrypted Non-C2 Protocol"),
    ("T1049", "System Network Connections Discovery"),
    ("T1053", "Scheduled Task/Job"),
    ("T1053.003", "Cron"),
    ("T1053.006", "Systemd Timers"),
    ("T1057", "Process Discovery"),
    ("T1059", "Command and Scripting Interpreter"),
    ("T1059.004", "Unix Shell"),
    ("T1059.006", "Python"),
    ("T1068", "Exploitation for Privilege Escalation"),
    ("T1069", "Permission Groups Discovery"),
    ("T1070", "Indicator Removal"),
    ("T1070.002", "Clear Linux or Mac System Logs"),
    ("T1070.003", "Clear Command History"),
    ("T1070.004", "File Deletion"),
    ("T1070.006", "Timestomp"),
    ("T1071", "Application Layer Protocol"),
    ("T1071.001", "Web Protocols"),
    ("T1074", "Data Staged"),
    ("T1074.001", "Local Data Staging"),
    ("T1082", "System Information Discovery"),
    ("T1083", "File and Directory Discovery"),
    ("T1087", "Account Discovery"),
    ("T1087.001", "Local Account"),
    ("T1095", "Non-Application Layer Protocol"),
    ("T1098", "Account Manipulation"),
    ("T1098.004", "SSH Authorized Keys"),
    ("T1105", "Ingress Tool Transfer"),
    ("T1132", "Data Encoding"),
    ("T1136", "Create Account"),
    ("T1136.001", "Local Account"),
    ("T1140", "Deobfuscate/Decode Files or Information"),
    ("T1204", "User Execution"),
    ("T1204.002", "Malicious File"),
    ("T1222", "File and Directory Permissions Modification"),
    ("T1496", "Resource Hijacking"),
    ("T1518", "Software Discovery"),
    ("T1543", "Create or Modify System Process"),
    ("T1543.002", "Systemd Service"),
    ("T1546", "Event Triggered Execution"),
    ("T1546.004", "Unix Shell Configuration Modification"),
    ("T1547", "Boot or Logon Autostart Execution"),
    ("T1547.006", "Kernel Modules and Extensions"),
    ("T1548", "Abuse Elevation Control Mechanism"),
    ("T1548.001", "Setuid and Setgid"),
    ("T1552", "Unsecured Credentials"),
    ("T1552.001", "Credentials In Files"),
    ("T1552.004", "Private Keys"),
    ("T1560", "Archive Collected Data"),
    ("T1560.001", "Archive via Utility"),
    ("T1562", "Impair Defenses"),
    ("T1562.001", "Disable or Modify Tools"),
    ("T1564", "Hide Artifacts"),
    ("T1564.001", "Hidden Files and Directories"),
    ("T1567", "Exfiltration Over Web Service"),
    ("T1571", "Non-Standard Port"),
    ("T1572", "Protocol Tunneling"),
    ("T1573", "Encrypted Channel"),
    ("T1574", "Hijack Execution Flow"),
    ("T1574.006", "Dynamic Linker Hijacking"),
    ("T1620", "Reflective Code Loading"),
];

/// The name of technique `id`.
pub(crate) fn name(id: &str) -> Option<&'static str> {
    NAMES.binary_search_by_key(&id, |(known, _)| known).ok().map(|index| NAMES[index].1)
}

#[cfg(test)]
mod tests {
    use super::{NAMES, name};

    #[test]
    fn the_table_is_sorted() {
        assert!(NAMES.is_sorted_by_key(|(id, _)| id));
        assert_eq!(name("T1059.004"), Some("Unix Shell"));
        assert_eq!(name("T9999"), None);
    }
}
