# A shell adds a line to somebody's .bashrc.
prepare() { : >/home/ana/.bashrc; }
act() { echo '# nothing' >>/home/ana/.bashrc; }
