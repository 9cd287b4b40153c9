# systemctl stop auditd, then curl to /tmp (harmless programs).
prepare() { stand_in systemctl curl; }
act() {
    systemctl stop auditd
    curl -s -o /tmp/part http://127.0.0.1/part
}
