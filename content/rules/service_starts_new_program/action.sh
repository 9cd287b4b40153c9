# A program called redis-server (a shell) starts date for three days, then env.
prepare() { put /bin/bash /usr/local/bin/redis-server; }
act() {
    redis-server -c 'date; true'
    days_pass 4
    redis-server -c 'env; true'
}
