# cat opens /home/ana/.gnupg/private-keys-v1.d/0A1B.key, made for it.
prepare() {
    mkdir -p '/home/ana/.gnupg/private-keys-v1.d' && echo x >'/home/ana/.gnupg/private-keys-v1.d/0A1B.key'
}
act() { cat '/home/ana/.gnupg/private-keys-v1.d/0A1B.key'; }
