# `7z a -pSecret -mhe=on /srv/out.7z /home/ana`, with a harmless program by the name of 7z.
prepare() { stand_in 7z; }
act() { 7z a -pSecret -mhe=on /srv/out.7z /home/ana; }
