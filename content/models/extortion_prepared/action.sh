# Backups destroyed, a database stopped, a guard stopped (harmless programs).
prepare() { stand_in zfs systemctl; }
act() {
    systemctl stop postgresql
    zfs destroy -r tank/data@daily
    systemctl stop auditd
}
