# `rclone copy /srv/data remote:box`, with a harmless program by the name of rclone.
prepare() { stand_in rclone; }
act() { rclone copy /srv/data remote:box; }
