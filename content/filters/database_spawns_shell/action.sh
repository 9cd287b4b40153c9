# A program called postgres (a shell) starts a shell.
prepare() { put /bin/bash /usr/local/bin/postgres; }
act() { postgres -c 'sh -c id; true'; }
