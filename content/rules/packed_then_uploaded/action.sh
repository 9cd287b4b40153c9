# tar packs below /tmp, then curl sends the archive.
act() { tar czf /tmp/plans.tgz -C /home ana; curl -s -T /tmp/plans.tgz http://127.0.0.1/up; }
