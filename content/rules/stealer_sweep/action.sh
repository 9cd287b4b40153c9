# A browser's store, a wallet and a keyring are copied one after the other.
prepare() {
    mkdir -p /home/ana/.mozilla/firefox/a.default /home/ana/.bitcoin /home/ana/.local/share/keyrings /home/ana/out
    echo x >/home/ana/.mozilla/firefox/a.default/logins.json
    echo x >/home/ana/.bitcoin/wallet.dat
    echo x >/home/ana/.local/share/keyrings/login.keyring
}
act() {
    as_ana true
    cp /home/ana/.mozilla/firefox/a.default/logins.json /home/ana/.bitcoin/wallet.dat /home/ana/.local/share/keyrings/login.keyring /home/ana/out
}
