# pg_dump writes to /tmp, then curl sends that file.
act() {
    pg_dump -f /tmp/c.sql customers
    curl -s -T /tmp/c.sql http://127.0.0.1/up
}
