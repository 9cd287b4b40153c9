# A shell adds a harmless line to /etc/hosts.
act() { echo '127.0.0.1 tidy.example' >>/etc/hosts; }
