# head opens /home/ana/.mozilla/firefox/a.default/logins.json, made for it.
prepare() {
    mkdir -p '/home/ana/.mozilla/firefox/a.default' && echo x >'/home/ana/.mozilla/firefox/a.default/logins.json'
}
act() { head -c 1 '/home/ana/.mozilla/firefox/a.default/logins.json'; }
