# A program called npm (a shell) starts curl (a harmless program).
prepare() {
    stand_in curl
    put /bin/bash /usr/local/bin/npm
}
act() { npm -c 'curl -s http://127.0.0.1/a; true'; }
