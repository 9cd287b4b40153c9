# A program called redis-server (a shell) starts date.
prepare() { put /bin/bash /usr/local/bin/redis-server; }
act() { redis-server -c 'date; true'; }
