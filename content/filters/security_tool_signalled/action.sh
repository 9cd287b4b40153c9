# A shell kills a program called auditd.
prepare() {
    put /usr/bin/sleep /usr/local/sbin/auditd
    setsid sh -c 'echo $$ >/run/auditd.pid; exec auditd 20' 9>&- &
    until grep -qs auditd /proc/*/comm; do sleep 0.05; done
}
act() { kill -KILL "$(cat /run/auditd.pid)"; }
