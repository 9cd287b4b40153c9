# The firewall is emptied (a harmless program), logs are covered, then the password database is opened.
prepare() { stand_in iptables; }
act() {
    iptables -F
    mount -t tmpfs none /var/log
    umount /var/log
    head -c 1 /etc/shadow
}
