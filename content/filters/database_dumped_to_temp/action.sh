# `pg_dump -f /tmp/c.sql customers`.
act() { pg_dump -f /tmp/c.sql customers; }
