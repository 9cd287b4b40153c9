# tar packs a folder into an archive below /tmp.
prepare() { mkdir -p /home/ana/plans && echo plan >/home/ana/plans/a; }
act() { tar czf /tmp/plans.tgz -C /home/ana plans; }
