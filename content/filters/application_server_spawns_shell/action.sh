# A program called java (a shell) starts a shell that asks who it is.
prepare() { put /bin/bash /usr/local/bin/java; }
act() { java -c 'sh -c "whoami; id"; true'; }
