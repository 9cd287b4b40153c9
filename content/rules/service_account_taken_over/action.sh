# The account www-data runs id, then wget.
act() {
    setpriv --reuid=www-data --clear-groups id
    setpriv --reuid=www-data --clear-groups wget http://127.0.0.1/a
}
