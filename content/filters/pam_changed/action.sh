# A shell adds a harmless line to a file of PAM.
prepare() { mkdir -p /etc/pam.d && touch /etc/pam.d/common-auth; }
act() { echo '# nothing' >>/etc/pam.d/common-auth; }
