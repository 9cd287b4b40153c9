# tar packs somebody's folder of SSH keys.
prepare() { mkdir -p /home/ana/.ssh && echo k >/home/ana/.ssh/known_hosts; }
act() { tar cf /home/ana/keep.tar /home/ana/.ssh; }
