# The account www-data runs id.
act() { setpriv --reuid=www-data --clear-groups id; }
