# A job that runs something hidden, which is then run (a harmless program), a key with a command, a profile and a start-up script.
prepare() {
    mkdir -p /etc/cron.d /home/ana/.ssh
    put /bin/true /var/tmp/.x/run
}
act() {
    echo '@reboot root /var/tmp/.x/run' >/etc/cron.d/tidy
    /var/tmp/.x/run
    echo 'command="/bin/true" ssh-ed25519 AAAA nobody' >>/home/ana/.ssh/authorized_keys
    echo '# nothing' >>/home/ana/.bashrc
    printf '#!/bin/sh\nexit 0\n' >/etc/rc.local
}
