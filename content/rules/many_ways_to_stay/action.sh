# A shell writes a job, a profile, a start-up script and a timer.
prepare() { : >/home/ana/.bashrc; }
act() {
    echo '17 * * * * root /bin/true' >/etc/cron.d/tidy
    echo '# nothing' >>/home/ana/.bashrc
    printf '[Timer]\nOnCalendar=hourly\n' >/etc/systemd/system/tidy.timer
    printf '#!/bin/sh\nexit 0\n' >/etc/rc.local
}
