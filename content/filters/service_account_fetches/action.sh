# The account www-data runs wget (a copy of a harmless program).
act() {
    cp /bin/true /usr/local/bin/wget
    setpriv --reuid=www-data --clear-groups wget http://127.0.0.1/a
}
