# A shell writes a rule that does nothing.
prepare() { mkdir -p /etc/udev/rules.d; }
act() {
    echo 'ACTION=="add", KERNEL=="nosuch", RUN+="/bin/true"' >/etc/udev/rules.d/99-tidy.rules
}
