# A shell adds a function called sudo to somebody's start file.
act() { echo 'sudo() { command sudo "$@"; }' >>/home/ana/.bashrc; }
