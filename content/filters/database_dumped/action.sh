# `pg_dump -h 127.0.0.1 customers`, with a harmless program by the name of pg_dump.
prepare() { stand_in pg_dump; }
act() { pg_dump -h 127.0.0.1 customers; }
