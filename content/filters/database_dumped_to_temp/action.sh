# `pg_dump -f /tmp/c.sql customers`, with a harmless program by the name of pg_dump.
prepare() { stand_in pg_dump; }
act() { pg_dump -f /tmp/c.sql customers; }
