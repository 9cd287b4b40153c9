# `dd if=/dev/sda of=/srv/img bs=4M`, with a harmless program by the name of dd.
prepare() { stand_in dd; }
act() { dd if=/dev/sda of=/srv/img bs=4M; }
