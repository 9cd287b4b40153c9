# A shell ends a program called auditd (perl, which does not mind).
prepare() {
    put /usr/bin/perl /usr/local/sbin/auditd
    as_ana setsid auditd -e '$SIG{TERM} = "IGNORE"; open F, ">", "/tmp/auditd.pid"; print F $$; close F; sleep 20' 9>&- &
    until [ -s /tmp/auditd.pid ]; do sleep 0.05; done
}
act() {
    kill -TERM "$(cat /tmp/auditd.pid)"
    sleep 1
}
