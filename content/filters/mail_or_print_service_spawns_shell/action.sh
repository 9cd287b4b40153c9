# A program called exim4 (a shell) starts a shell.
prepare() { put /bin/bash /usr/local/bin/exim4; }
act() { exim4 -c 'sh -c id; true'; }
