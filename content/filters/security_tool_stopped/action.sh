# systemctl stop auditd (a harmless program by that name).
prepare() { stand_in systemctl; }
act() { systemctl stop auditd; }
