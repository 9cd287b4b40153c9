# A shell adds an account without privileges.
act() { echo 'tidy:x:1991:1991::/:/usr/sbin/nologin' >>/etc/passwd; }
