# curl sends a file that lies below /tmp.
act() { curl -s -T /tmp/part.tgz http://127.0.0.1/up; }
