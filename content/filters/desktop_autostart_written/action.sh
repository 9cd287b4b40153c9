# A shell writes an entry into somebody's autostart folder.
prepare() { mkdir -p /home/ana/.config/autostart; }
act() {
    printf '[Desktop Entry]\nType=Application\nExec=/bin/true\n' >/home/ana/.config/autostart/tidy.desktop
}
