# What a host does by the clock: logs rotated, homes and settings packed, old files removed, sums checked, time and space looked at.
prepare() {
    mkdir -p /home/ana/papers /srv/backup /etc/cron.daily
    for n in $(seq 60); do head -c 3000 /dev/urandom | base64 >/home/ana/papers/p$n.txt; done
    chown -R 1000:1000 /home/ana
    cat >/etc/cron.daily/backup <<'S'
#!/bin/sh
set -e
day=$(date +%H%M%S)
tar czf /srv/backup/home-$day.tgz -C /home .
tar czf /srv/backup/etc-$day.tgz -C / etc 2>/dev/null || :
sha256sum /srv/backup/*.tgz >/srv/backup/SUMS
find /srv/backup -name '*.tgz' -mmin +4 -delete
S
    cat >/etc/cron.daily/rotate <<'S'
#!/bin/sh
for log in /var/log/syslog /var/log/auth.log /var/log/app.log; do
    [ -s "$log" ] || continue
    [ ! -e "$log.1" ] || { gzip -c "$log.1" >"$log.2.gz"; rm "$log.1"; }
    mv "$log" "$log.1"; : >"$log"; chmod 640 "$log"
done
S
    cat >/etc/cron.daily/passwd <<'S'
#!/bin/sh
cd /var/backups || exit 0
for f in passwd group shadow gshadow; do cmp -s $f.bak /etc/$f || { cp -p /etc/$f $f.bak && chmod 600 $f.bak; }; done
S
    chmod 755 /etc/cron.daily/*
    mkdir -p /var/backups
    # One waits by chance for up to half an hour, the other reads the whole manual.
    rm -f /etc/cron.daily/apt-compat /etc/cron.daily/man-db
}
act() {
    while left; do
        for n in 1 2 3 4 5; do logger -t app "round $n" 2>/dev/null; echo "$(date) round" >>/var/log/app.log; echo line >>/var/log/syslog; done
        run-parts /etc/cron.daily || for job in /etc/cron.daily/backup /etc/cron.daily/rotate; do /bin/sh -c "$job"; done
        /bin/sh -c 'find /tmp -type f -atime +1 -delete; find /var/tmp -type f -mtime +7 -delete'
        /bin/sh -c 'df -P | awk "\$5+0 > 90"; test -x /usr/sbin/anacron || true'
        ana bash -c 'for n in 1 2 3; do echo more >>papers/p$n.txt; done; cp papers/p4.txt papers/p4.bak; mv papers/p4.bak papers/p5.txt; zip -qr papers.zip papers; rm papers.zip'
        updatedb 2>/dev/null; ldconfig
        gzip -t /srv/backup/*.tgz; tar tzf "$(ls -t /srv/backup/home-*.tgz | head -1)" | wc -l
        rest 20
    done
}
