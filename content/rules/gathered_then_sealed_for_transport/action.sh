# pg_dump, then 7z with a password (harmless programs stand for 7z).
prepare() { stand_in 7z; }
act() {
    pg_dump customers
    7z a -pSecret /srv/o.7z /srv/c.sql
}
