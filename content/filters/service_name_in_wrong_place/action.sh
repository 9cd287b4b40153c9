# A harmless program called sshd is run from a home.
prepare() { put /bin/true /home/ana/bin/sshd; }
act() { /home/ana/bin/sshd; }
