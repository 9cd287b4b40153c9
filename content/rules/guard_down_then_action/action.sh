# systemctl stop auditd, then curl to /tmp (harmless programs stand for systemctl).
prepare() { stand_in systemctl; }
act() {
    systemctl stop auditd
    curl -s -o /tmp/part http://127.0.0.1/part
}
