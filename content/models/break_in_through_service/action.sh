# A program called nginx (a shell) starts a shell, as www-data, that asks who it is and fetches.
prepare() {
    put /bin/bash /usr/local/bin/nginx
}
act() {
    nginx -c 'sh -c "setpriv --reuid=www-data --clear-groups id"; setpriv --reuid=www-data --clear-groups wget http://127.0.0.1/a; true'
}
