# ana gathers documents, dumps a database and packs with a password (harmless programs).
prepare() { stand_in find pg_dump 7z; }
act() {
    as_ana find /home -name '*.docx' -exec cp {} /home/ana/out ';'
    as_ana pg_dump -f /home/ana/out/c.sql customers
    as_ana 7z a -pSecret -mhe=on /home/ana/out.7z /home/ana/out
}
