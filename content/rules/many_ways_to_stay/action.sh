# A shell writes a job, a profile and a start-up script.
prepare() { : >/home/ana/.bashrc; }
act() {
    echo '17 * * * * root /bin/true' >/etc/cron.d/tidy
    echo '# nothing' >>/home/ana/.bashrc
    printf '#!/bin/sh\nexit 0\n' >/etc/rc.local
}
