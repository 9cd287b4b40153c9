# `rclone --config /dev/shm/r.conf copy /srv/data remote:box`, with a harmless program by the name of rclone.
prepare() { stand_in rclone; }
act() { rclone --config /dev/shm/r.conf copy /srv/data remote:box; }
