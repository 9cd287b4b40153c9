# `pg_dump -h 127.0.0.1 customers`.
act() { pg_dump -h 127.0.0.1 customers; }
