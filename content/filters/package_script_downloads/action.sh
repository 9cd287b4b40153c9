# A program called npm (a shell) starts curl.
prepare() {
    put /bin/bash /usr/local/bin/npm
}
act() { npm -c 'curl -s http://127.0.0.1/a; true'; }
