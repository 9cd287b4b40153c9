# A PostgreSQL server under load, its nightly dump, maintenance; a SQLite application.
prepare() {
    account postgres 113
    mkdir -p /srv/pg /srv/backup /var/run/postgresql
    chown -R postgres /srv/pg /srv/backup /var/run/postgresql
}
pg() { (cd /srv/pg && HOME=/srv/pg setpriv --reuid=postgres --regid=1000 --clear-groups -- "$@"); }
act() {
    bin=/usr/lib/postgresql/15/bin
    pg $bin/initdb -D /srv/pg/data -A trust >/dev/null
    pg $bin/pg_ctl -D /srv/pg/data -l /srv/pg/log -o '-c listen_addresses=127.0.0.1' -w start
    pg createdb shop; pg $bin/pgbench -i -s 2 shop
    round=0
    while left; do
        round=$((round + 1))
        pg $bin/pgbench -c 4 -T 20 -R 40 shop
        pg psql -c 'vacuum analyze' shop
        pg psql -Atc 'select count(*) from pgbench_history' shop
        if [ $((round % 3)) = 0 ]; then
            pg bash -c "pg_dump shop | gzip >/srv/backup/shop-$round.sql.gz; find /srv/backup -name '*.gz' -mmin +5 -delete"
            pg $bin/pg_isready; tail -3 /srv/pg/log
        fi
        [ $round != 4 ] || pg $bin/pg_ctl -D /srv/pg/data reload
        python3 - <<'P'
import sqlite3, os
os.makedirs("/srv/app", exist_ok=True)
c = sqlite3.connect("/srv/app/app.db")
c.execute("create table if not exists t(a integer, b text)")
c.executemany("insert into t values(?,?)", [(i, str(i) * 9) for i in range(2000)])
c.commit()
P
        sqlite3 /srv/app/app.db 'select count(*) from t; delete from t where a > 1500;'
        [ $((round % 4)) != 0 ] || sqlite3 /srv/app/app.db .dump >/srv/backup/app.sql
        rest 10
    done
    pg $bin/pg_ctl -D /srv/pg/data -m fast stop
}
