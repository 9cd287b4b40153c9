# A shell writes a .pth file beside Python's packages.
prepare() { mkdir -p /usr/lib/python3/dist-packages; }
act() { echo '# nothing' >/usr/lib/python3/dist-packages/tidy.pth; }
