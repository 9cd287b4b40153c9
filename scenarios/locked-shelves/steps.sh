# Papers of the room are rewritten by Python; nothing else is touched.
prepare() {
    mkdir -p /srv/shelf /srv/backup/daily
    for n in $(seq 120); do head -c 2000 /dev/urandom | base64 >/srv/shelf/paper$n.docx; done
    for n in $(seq 5); do echo x >/srv/backup/daily/$n.tgz; done
}
look() { df -h /srv; find /srv -type f | wc -l; mount | head -3; lsblk; }
stop_stores() { systemctl stop postgresql mariadb; service cron stop; }
remove_backups() { rm -rf /srv/backup/daily; }
rewrite() { python3 -c 'import pathlib
for p in pathlib.Path("/srv/shelf").iterdir():
    b = bytearray(p.read_bytes())
    with open(p, "r+b") as f: f.write(bytes(x ^ 90 for x in b))'; }
rename() { python3 -c 'import pathlib
for p in pathlib.Path("/srv/shelf").iterdir(): p.rename(str(p) + ".qx7w")'; }
letter() { printf 'Your papers are locked. Write to us.\n' >'/srv/shelf/READ_ME_TO_GET_FILES_BACK.txt'; }
