# rm -rf of a hidden folder below /tmp.
prepare() { mkdir -p /tmp/.work/a; }
act() { rm -rf /tmp/.work; }
