# cp opens /home/ana/.local/share/keyrings/login.keyring, made for it.
prepare() {
    mkdir -p '/home/ana/.local/share/keyrings' && echo x >'/home/ana/.local/share/keyrings/login.keyring'
}
act() { cp -t /tmp '/home/ana/.local/share/keyrings/login.keyring'; }
