# ana gathers documents, dumps a database and packs with a password (harmless programs stand for 7z).
prepare() { stand_in 7z; }
act() {
    as_ana find /home -name '*.docx' -exec cp {} /home/ana/out ';'
    as_ana pg_dump -f /home/ana/out/c.sql customers
    as_ana 7z a -pSecret -mhe=on /home/ana/out.7z /home/ana/out
}
